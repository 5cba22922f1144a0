import threading

from benchmarks.request_profile.tracer import Tracer


def test_counts_the_instructions_and_calls_of_a_function_on_the_model_thread() -> None:
    def work(count: int) -> int:
        total = 0
        for number in range(count):
            total += number
        return total

    def counted(count: int) -> tuple[float, float]:
        tracer = Tracer(["model"])
        threading.settrace(tracer.trace)
        thread = threading.Thread(target=work, args=(count,), name="model")
        thread.start()
        thread.join()
        threading.settrace(None)
        function = next(each for each in tracer.functions("model", 2) if each.name.endswith("work"))
        return function.instructions, function.calls

    assert counted(10) == counted(10)
    assert counted(30)[0] > counted(10)[0]
    assert counted(10)[1] == 0.5
