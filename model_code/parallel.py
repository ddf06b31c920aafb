"""One code path for 1 process, 2 on gloo and N on nccl: who am I, which device, which wrapper, what is shared."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from model_code.errors import InputError, RunFailedError

TIMEOUT = timedelta(minutes=5)
"""How long a collective waits for a lost rank: long enough for one rank to fetch shards, far below torch's 30 min."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among the others, as torchrun started it."""

    rank: int = 0
    """Number of this process, 0 to world_size - 1; 0 writes files and speaks."""
    local_rank: int = 0
    """Number among the processes of this machine; picks the GPU."""
    world_size: int = 1
    """Processes in all."""
    local_world_size: int = 1
    """Processes on this machine."""
    launched: bool = False
    """True under torchrun; False: one plain process, without a process group."""

    @property
    def leads(self) -> bool:
        """True on rank 0."""
        return self.rank == 0


def read_environment() -> World:
    """Return what torchrun says in the environment; the only place that reads it."""
    if "RANK" not in os.environ:
        return World()
    return World(
        rank=int(os.environ["RANK"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        local_world_size=int(os.environ["LOCAL_WORLD_SIZE"]),
        launched=True,
    )


def end_with_launcher() -> None:
    """Have the kernel kill this process when torchrun is killed: nobody would be left to stop it (Linux only).

    By SIGKILL: a rank that waits for another one hears no other signal, and a rank that lives on would write into the
    run that somebody has started again.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def choose_device(world: World) -> torch.device:
    """Return this process's GPU where there are GPUs, else the CPU.

    Raises:
        InputError: more processes than GPUs.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if world.local_world_size > torch.cuda.device_count():
        raise InputError(
            f"nproc-per-node must not exceed this machine's {torch.cuda.device_count()} GPUs, got "
            f"{world.local_world_size}; start fewer, or set CUDA_VISIBLE_DEVICES= to train on the CPU"
        )
    return torch.device("cuda", world.local_rank)


@contextmanager
def process_group(world: World, device: torch.device) -> Iterator[None]:
    """Hold the process group (nccl for GPU tensors, gloo for CPU tensors) and this process's share of the cores."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // world.local_world_size))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not world.launched:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT, device_id=device if device.type == "cuda" else None)
    try:
        yield
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, strategy: Literal["ddp", "fsdp"], device: torch.device) -> nn.Module:
    """Return the network, on its device, that averages its gradients over the ranks; itself in a lone process.

    FSDP2 shards each repeated block by itself, so that only one is whole at a time, and then the rest.
    """
    if dist.is_initialized():
        # Equal seeds give equal weights, but a custom network need not use torch's generator.
        model.load_state_dict(share_tensors(model.state_dict()))
    model = model.to(device)
    if not dist.is_initialized():
        return model
    if strategy == "fsdp":
        for block in blocks(model):
            fully_shard(block)
        fully_shard(model)  # in place: the same module, its class changed to one with FSDP's hooks
        return model
    # Buffers: batch-norm statistics are averaged with the loss each step, so DDP need not broadcast rank 0's.
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        forward_sync_buffers=False,
        gradient_as_bucket_view=True,
    )


def blocks(model: nn.Module) -> list[nn.Module]:
    """Return the repeated parts of a network that FSDP2 gathers one after the other."""
    return [
        block
        for holder in model.modules()
        if isinstance(holder, nn.ModuleList)
        for block in holder
        if not isinstance(block, nn.ModuleList | nn.ModuleDict) and any(True for _ in block.parameters())
    ]


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside a DDP wrapper."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def sync_gradients(model: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Return the context of one micro-batch's forward and backward: only the last one of a step talks to others."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last)
    elif isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    return nullcontext()


def watch_gradients(model: nn.Module, *watchers: Callable[[Tensor], None]) -> None:
    """Show a rank's own gradients to some watchers, bucket by bucket, before DDP averages them (as ever)."""

    def average_bucket(bucket: GradBucket) -> torch.futures.Future[Tensor]:
        gradients = bucket.buffer()
        for watch in watchers:
            watch(gradients)
        work = dist.all_reduce(gradients.div_(dist.get_world_size()), async_op=True)
        averaged: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
        return averaged

    if isinstance(model, DistributedDataParallel):
        # DDP reads a hook's annotations, and refuses those that are text.
        model.register_comm_hook(None, lambda _, bucket: average_bucket(bucket))


def batch_norm_statistics(model: nn.Module) -> list[Tensor]:
    """Return the running means and variances, which each rank measures on its own samples."""
    return [
        statistic
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for statistic in (module.running_mean, module.running_var)
        if statistic is not None
    ]


def average(values: Tensor, tensors: list[Tensor]) -> Tensor:
    """Average some values (returned) and some tensors (in place) over the ranks, in one collective."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    flat = torch.cat([values, *(tensor.flatten() for tensor in tensors)])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start = values.numel()
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()
    return flat[: values.numel()]


def share_bytes(content: bytes) -> bytes:
    """Return rank 0's bytes on every rank."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return content
    length = torch.tensor([len(content)])
    dist.broadcast(length, 0)
    buffer = torch.empty(int(length), dtype=torch.uint8)
    if dist.get_rank() == 0 and content:
        buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    dist.broadcast(buffer, 0)
    return buffer.numpy().tobytes()


def from_leader(work: Callable[[], bytes]) -> bytes:
    """Return on every rank what rank 0 computes; an InputError there is raised everywhere, so that nobody waits on."""
    content = b""
    if not dist.is_initialized() or dist.get_rank() == 0:
        try:
            content = b"+" + work()
        except InputError as error:
            content = b"-" + str(error).encode()
    content = share_bytes(content)
    if content[:1] == b"-":
        raise InputError(content[1:].decode())
    return content[1:]


def gather_bytes(content: bytes) -> list[bytes]:
    """Return every rank's bytes, in the order of ranks, on every rank."""
    if not dist.is_initialized():
        return [content]
    ranks = dist.get_world_size()
    lengths = [torch.empty(1, dtype=torch.int64) for _ in range(ranks)]
    dist.all_gather(lengths, torch.tensor([len(content)]))
    longest = max(1, *(int(length) for length in lengths))
    mine = torch.frombuffer(bytearray(content.ljust(longest, b"\0")), dtype=torch.uint8)
    every = [torch.empty_like(mine) for _ in range(ranks)]
    dist.all_gather(every, mine)
    return [one.numpy().tobytes()[: int(length)] for one, length in zip(every, lengths, strict=True)]


def fail_together(message: str) -> NoReturn:
    """End the run on all ranks, with one message; every rank must call it.

    Raises:
        RunFailedError: on rank 0, which says it.
        SystemExit: with code 1 on the others.
    """
    if dist.is_initialized() and dist.get_rank() != 0:
        raise SystemExit(1)
    raise RunFailedError(message)


def share_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return rank 0's CPU tensors on every rank."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return tensors
    facts = {name: [str(one.dtype).removeprefix("torch."), list(one.shape)] for name, one in tensors.items()}
    shared = {}
    for name, (dtype, shape) in json.loads(share_bytes(json.dumps(facts).encode())).items():
        tensor = (
            tensors[name].contiguous() if name in tensors else torch.empty(shape, dtype=getattr(torch, dtype))
        )
        dist.broadcast(tensor, 0)
        shared[name] = tensor
    return shared


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context of a forward pass: bf16 where asked for, or where the device has fast hardware for it.

    On a CPU `auto` asks for AMX: with AVX512-BF16 alone the casts cost small networks more than they gain.
    """
    if precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.get_device_capability(device) >= (8, 0)
        else:
            fast = torch.cpu._is_amx_tile_supported()
        precision = "bf16" if fast else "fp32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
