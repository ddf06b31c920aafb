"""Read a data set: `ShardReader` in order for an evaluation, `TrainStream` endless and shuffled for training.

Ours rather than litdata, webdataset or MDS: those fetch and collate sample by sample (measured on blocks of 128 tokens,
one core: 134k, 5k and 9k samples/s against 1.5M for whole-batch slicing of zstd shards, 3.7M for a plain memmap).
Only MDS promises the same global stream at every number of ranks and a resume in the middle of an epoch, and it needs
transformers < 5 and numpy < 2.2.
"""

from __future__ import annotations

from model_code.data.index import DataIndex, load_index, load_tokenizer
from model_code.data.reader import ShardReader, read_all
from model_code.data.shards import Batch
from model_code.data.stream import TrainStream

__all__ = ["Batch", "DataIndex", "ShardReader", "TrainStream", "load_index", "load_tokenizer", "read_all"]
