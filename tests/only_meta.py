"""A guard for tests: within it nothing may be computed but on the device `meta`."""

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class OnlyMeta(TorchDispatchMode):
    """Fails where an operation makes a tensor on a device of flesh and blood."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not isinstance(tensor, Tensor) or tensor.is_meta, (
                f"{func} made a tensor on {tensor.device}"
            )
        return made
