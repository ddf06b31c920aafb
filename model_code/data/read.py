"""Read a data set: `ShardReader` in order for an evaluation, `TrainStream` endless and shuffled for training."""

from __future__ import annotations

from model_code.data.index import DataIndex, load_index, load_tokenizer
from model_code.data.reader import ShardReader, read_all
from model_code.data.shards import Batch
from model_code.data.stream import TrainStream

__all__ = ["Batch", "DataIndex", "ShardReader", "TrainStream", "load_index", "load_tokenizer", "read_all"]
