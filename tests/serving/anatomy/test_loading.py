from serving.anatomy.loading import Part, excess

MIB = 1 << 20


def part(whole: int, share: int = 4) -> Part:
    """A tensor of so many mebibytes of 32-bit words, of which a rank keeps a part."""
    return Part(whole * MIB, whole * MIB // 4, whole * MIB // share, whole * MIB // 4 // share)


def test_what_is_kept_whole_costs_nothing_more():
    assert excess([part(100, share=1)] * 50) == 0


def test_a_few_tensors_are_all_in_flight():
    assert excess([part(10)] * 5) == 50 * MIB


def test_of_many_small_tensors_a_hundred_reads_are_in_flight_at_most():
    flying = excess([part(1)] * 1000)

    assert 90 * MIB <= flying <= 110 * MIB


def test_of_large_tensors_one_for_each_task_is_in_flight():
    flying = excess([part(1000)] * 100)

    # Each is a command buffer of its own, and every tenth read is a task as well.
    assert 9 * 1000 * MIB <= flying <= 11 * 1000 * MIB
