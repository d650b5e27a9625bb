"""`homerun bench`: names, flags and help. Imports what a command does when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from homerun.cli.options import settings_from

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@app.command()
def serve(
    model: Annotated[
        str, typer.Argument(help="A model that the server serves.")
    ] = "@homerun/rookie",
    host: Annotated[str | None, typer.Option(help="[default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="[default: 11787]", min=1, max=65535)] = None,
    account: Annotated[str, typer.Option(help="Account in the path.")] = "local",
    profile: Annotated[
        str, typer.Option(help="Sizes and bursts: short-chat, chat or long-prefill.")
    ] = "short-chat",
    rate: Annotated[
        float, typer.Option(help="Mean arrivals per second; inf sends all at once.")
    ] = 1.0,
    shape: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Gamma shape of the gaps: 1 is Poisson, less is burstier.  [default: profile's]",
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds of arrivals.  [default: 30]")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Number of arrivals, in place of --duration.")
    ] = None,
    warmup: Annotated[
        int, typer.Option(min=0, help="Arrivals sent before and left out of the figures.")
    ] = 5,
    prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="About so many tokens in every prompt.")
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option(min=1, help="max_tokens of every request.")
    ] = None,
    shared_prefix: Annotated[
        float, typer.Option(min=0, max=1, help="Share of each prompt that all have in common.")
    ] = 0.0,
    window: Annotated[
        int, typer.Option(min=32, help="Prompt and output together stay within so many tokens.")
    ] = 2048,
    seed: Annotated[int, typer.Option(help="Decides arrivals, sizes, prompts and answers.")] = 1,
    concurrency_cap: Annotated[
        int, typer.Option(min=1, help="Open connections at most; who waits for one is counted.")
    ] = 512,
    slo_ttft: Annotated[
        float, typer.Option(min=0, help="Goodput's limit of time to first token, in ms.")
    ] = 200.0,
    slo_tpot: Annotated[
        float, typer.Option(min=0, help="Goodput's limit of time per output token, in ms.")
    ] = 50.0,
    as_json: Json = False,
) -> None:
    """Send requests on a schedule to a running server and report latency and throughput.

    The load is open-loop: requests go out at their time, however slow the answers are. Times are
    taken at this client's socket. Time to first token counts from the request's last byte to the
    first text; inter-token latency is the gap between two events with text; time per output token
    is (end to end - first token) / (output tokens - 1); goodput is the complete answers per second
    within both limits. Two short requests before the run measure how many tokens a word makes.
    """
    from homerun.cli.bench.load_report import Limits
    from homerun.cli.bench.serve import serve as command
    from homerun.cli.bench.serve import target_of
    from homerun.cli.bench.traffic import Traffic

    settings = settings_from(host=host, port=port)
    traffic = Traffic(
        profile=profile,
        rate=rate,
        shape=shape,
        duration=30.0 if duration is None and requests is None else duration,
        requests=requests,
        warmup=warmup,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        shared_prefix=shared_prefix,
        window=window,
        seed=seed,
    )
    target = target_of(settings.host, settings.port, settings.token, account, model)
    slo = Limits(slo_ttft, slo_tpot)
    command(model, target, traffic, slo, cap=concurrency_cap, as_json=as_json)


@app.command()
def engine(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL|NAME=PATH", help="What to load.  [default: @homerun/rookie]"),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="In place of a model, random weights of llama-2-7b, llama-1.1b, gemma-2b, "
            "gemma-7b or rookie: a packed file that is written once."
        ),
    ] = None,
    phase: Annotated[str, typer.Option(help="prefill, decode or both.")] = "both",
    tokens: Annotated[
        int, typer.Option(min=1, help="Timed tokens per sequence: of the prompt, or generated.")
    ] = 128,
    context: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Tokens already in the cache of each sequence.  [default: prefill 0, decode 128]",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Sequences at once.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, help="Rounds, after one that is dropped.")] = 3,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="int8, bf16, fp16 or fp32.  [default: as the catalog says; int8 for a --shape]"
        ),
    ] = None,
    adapters: Annotated[
        int, typer.Option(min=0, help="LoRA adapters that the sequences use in turn.")
    ] = 0,
    rank: Annotated[int, typer.Option(min=1, help="Of each adapter.")] = 16,
    adapter_targets: Annotated[
        str, typer.Option(help="attention (q, k, v, o) or all linear layers.")
    ] = "attention",
    as_json: Json = False,
) -> None:
    """Measure prefill and decode of one model in this process, without HTTP.

    Timed is what the engine does in a step: scheduling, paging, the model, sampling at temperature
    0.6. Prompts are random tokens, different in every round, and stop ids are off, so lengths are
    exact. tokens/s counts all sequences together, prompt tokens in prefill and generated ones in
    decode; it is the median over the rounds, with minimum and maximum. Overhead is the share of
    the time outside the kernels. Between steps a probe reads the weights' file with all threads:
    GB/s of a step stand against that, GMAC/s of the linears against the peak of their instruction.
    A prefill runs in steps of at most HOMERUN_MAX_BATCH_TOKENS tokens, as in the server. With
    --adapters every round comes after one without them, and the table says what share of the base
    model's speed is left.
    """
    from homerun.cli.bench.adapters import Adapters
    from homerun.cli.bench.engine import engine as command
    from homerun.cli.bench.engine import show
    from homerun.cli.bench.steps import Job
    from homerun.errors import ConfigurationError

    if phase not in ("prefill", "decode", "both"):
        raise ConfigurationError(f"{phase} is not one of prefill, decode, both")
    if model is not None and shape is not None:
        raise ConfigurationError(f"--shape {shape} measures random weights: leave out {model}")
    wanted = Adapters(adapters, rank, adapter_targets) if adapters else None
    jobs: list[Job] = []
    if phase != "decode":
        jobs.append(Job("prefill", tokens, 0 if context is None else context, batch))
    if phase != "prefill":
        jobs.append(Job("decode", tokens, 128 if context is None else context, batch))
    settings = settings_from(dtype=dtype)
    results = command(model, shape, jobs, settings, repeat=repeat, adapters=wanted)
    show(results, as_json=as_json)


@app.command()
def machine(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RESULT]...", help="Files with the --json of homerun bench engine."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what this machine can do at most, and where the results of measurements stand.

    Reading speed is that of one GiB in order, arithmetic that of loops over one instruction, both
    with all threads. A decode is held against the reading speed that was measured beside it, the
    linears of a prefill against the peak.
    """
    from homerun.cli.bench.standing import read_results, show
    from homerun.native import configure

    settings = settings_from()
    configure(settings.threads, settings.instruction_set)
    show([one for path in results or [] for one in read_results(path)], as_json=as_json)


@app.callback(invoke_without_command=True)
def bench(context: typer.Context) -> None:
    """Measure a server, an engine or this machine; alone, this machine and rookie on it."""
    if context.invoked_subcommand is not None:
        return
    from homerun.cli.bench.engine import engine as measured
    from homerun.cli.bench.standing import show
    from homerun.cli.bench.steps import Job

    jobs = [Job("prefill", 128, 0, 1), Job("decode", 128, 128, 1)]
    show(measured(None, None, jobs, settings_from(), repeat=3), as_json=False)
