"""What a training runs on: device, precision, and the processes that make its samples."""


import torch

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device="auto") -> torch.device:
    """ "auto": the first GPU there is, else the CPU."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_precision(precision="auto", device="cpu") -> str:
    """ "auto": bf16 where the chip computes in it; on GPUs that do not (Colab's T4) fp16; else float32."""
    if precision != "auto":
        if precision not in DTYPES:
            raise ValueError(f"precision: expected auto, {', '.join(DTYPES)}; found {precision!r}")
        return precision
    kind = torch.device(device).type
    if kind == "cuda":
        # Older GPUs accept bf16 too, but emulate it slowly; capability 8.0 is the first that computes in it.
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if kind == "cpu":
        tests = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        return "bf16" if any(test() for test in tests if test) else "float32"
    return "float32"

