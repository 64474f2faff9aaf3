"""How fast is each form of TS-CAN? Prints times a frame and ratios measured in one run.

    python benchmarks/model_speed.py [--model NAME] [--torch PYTHON] [--profile VARIANT]

One core, one thread, rounds in turn so that a slow moment of the machine meets all alike. Times are
of whole calls of `TSCAN.predict`, what it does in NumPy included. `original` is the published graph
in float32: an appearance image for every frame. --torch names a Python that has PyTorch; TS-CAN of
the same weights is then timed there. --profile shows where a form's time goes, by operator.
"""

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from harness.calibration import own_calibration
from rppg_core import models
from rppg_core.lightening.convert import convert, model_card, write_model
from rppg_core.lightening.weights import load_weights, save_npz
from rppg_core.tscan import TSCAN

VARIANTS = ("float32", "float16", "dynamic", "int8")
ROUNDS, CALLS = 15, 10
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="auto")
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument("--profile", choices=VARIANTS)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    name = models.choose_model(options.model)[0]
    weights = load_weights(models.weights_path(name))
    rng = np.random.default_rng(SEED)
    motion, appearance = rng.normal(size=(2, 10, 36, 36, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / "original.tflite"
        write_model(
            original,
            convert(weights, appearance_per_frame=True),
            model_card(weights, name, appearance_per_frame=True),
        )
        paths = {"original": original}
        paths.update((one, models.tflite_file(name, one, own_calibration)[1]) for one in VARIANTS)
        forms = {one: TSCAN(path) for one, path in paths.items()}
        calls = {
            one: (lambda form=form: form.predict(motion, appearance)) for one, form in forms.items()
        }
        times: dict[str, list[float]] = {one: [] for one in calls}
        for _ in range(ROUNDS):
            for one, call in calls.items():
                times[one].append(min(seconds(call) for _ in range(CALLS)))
            if options.torch:
                answer = torch(options.torch, weights, motion, appearance, Path(folder))
                times.setdefault("pytorch", []).append(min(answer["seconds"]))
        show(name, times)
        if options.torch:
            apart = np.abs(np.array(answer["derivative"]) - calls["original"]())
            print(f"PyTorch's derivative and the original's are at most {apart.max():.1e} apart")
        if options.profile:
            profile(paths[options.profile])


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def torch(python: str, weights, motion, appearance, folder: Path) -> dict[str, list[float]]:
    save_npz(folder / "weights.npz", weights)
    np.savez(folder / "inputs.npz", motion=motion, appearance=appearance)
    script = str(Path(__file__).with_name("torch_tscan.py"))
    command = [python, script, str(folder / "weights.npz"), str(folder / "inputs.npz"), str(CALLS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, times: dict[str, list[float]]) -> None:
    """Medians over rounds of each round's best call; ratios are medians of the rounds' ratios."""
    print(f"{name}: ms a frame, one thread, {ROUNDS} rounds")
    against = [one for one in ("pytorch", "original", "float32") if one in times]
    print(f"{'':10} {'median':>8} {'best':>8}" + "".join(f"{'x ' + one:>11}" for one in against))
    for one, rounds in times.items():
        ratios = [
            statistics.median(a / b for a, b in zip(times[other], rounds, strict=True))
            for other in against
        ]
        ms = [value / 10 * 1e3 for value in (statistics.median(rounds), min(rounds))]
        print(f"{one:10} {ms[0]:8.3f} {ms[1]:8.3f}" + "".join(f"{ratio:11.2f}" for ratio in ratios))


def profile(path: Path) -> None:
    """Time after each operator, of the model cut off there: an operator's own is the difference."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    model = flatbuffer_utils.read_model(str(path))
    model.signatureDefs = []
    before = 0.0
    print(f"{path.name}: ms a frame after each operator")
    for count in range(1, len(model.subgraphs[0].operators) + 1):
        cut = copy.deepcopy(model)
        graph = cut.subgraphs[0]
        graph.operators = graph.operators[:count]
        read = {i for one in graph.operators for i in one.inputs}
        graph.outputs = [i for one in graph.operators for i in one.outputs if i not in read]
        graph.inputs = [i for i in graph.inputs if i in read]
        content = bytes(flatbuffer_utils.convert_object_to_bytearray(cut))
        after = invocation_s(content) / 10 * 1e3
        last = graph.operators[-1]
        code = cut.operatorCodes[last.opcodeIndex]
        shape = list(graph.tensors[last.outputs[0]].shape)
        print(f"  {names[code.builtinCode]:18} {shape!s:20} {after:.3f}  +{after - before:.3f}")
        before = after


def invocation_s(content: bytes) -> float:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return min(seconds(interpreter.invoke) for _ in range(60))


if __name__ == "__main__":
    sys.exit(main())
