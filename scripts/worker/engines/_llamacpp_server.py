"""llama.cpp's HTTP server as a process, out of the wheel that the adapter of llama.cpp uses.

    python -m worker.engines._llamacpp_server --model FILE --port PORT [OPTION...]

Options are spelled as those of `llama-server`. The wheel has its code without its program.
"""

import argparse
import signal

from worker.engines.llamacpp import LlamaCpp, start_server

OPTIONS = {
    "threads": "threads",
    "batch-size": "batch_tokens",
    "ubatch-size": "micro_batch_tokens",
    "flash-attn": "flash_attention",
    "cache-type": "kv_cache_type",
    "n-gpu-layers": "gpu_layers",
}
"""Option of the command -> option of the adapter, whose type, values and default it has."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="llamacpp-server")
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    for name, known_as in OPTIONS.items():
        option = LlamaCpp.OPTIONS[known_as]
        choices = option.choices or None
        parser.add_argument(
            f"--{name}", dest=known_as, type=option.type, default=option.default, choices=choices
        )
    arguments = vars(parser.parse_args())
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    server = start_server(
        arguments["model"],
        context_tokens=arguments["ctx_size"],
        slots=arguments["parallel"],
        options={name: arguments[name] for name in OPTIONS.values()},
        listen=(arguments["host"], arguments["port"]),
    )
    signal.sigwait(ends)
    del server


if __name__ == "__main__":
    main()
