"""maskdepth_utils: predict an object's mask and a photo's depth map from the photo and its empty background.

`load_pretrained` is here; everything else is in the modules, such as `maskdepth_utils.data` and
`maskdepth_utils.losses`.
"""

__version__ = "0.1.0"
__all__ = ["load_pretrained"]


def __getattr__(name):
    # Loading PyTorch takes seconds: only when somebody asks for it.
    if name == "load_pretrained":
        from .inference import load_pretrained

        return load_pretrained
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
