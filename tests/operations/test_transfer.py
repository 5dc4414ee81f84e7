import io

from operations.transfer import Metered, private_directory


def test_a_private_directory_is_never_the_same():
    assert private_directory() != private_directory()


def test_a_metered_file_reads_as_the_file_itself_and_again_from_the_start():
    told: list[str] = []
    metered = Metered(io.BufferedReader(io.BytesIO(b"weights")), 7, told.append)

    assert (metered.read(3), metered.read(-1), metered.seek(0), metered.read(-1)) == (b"wei", b"ghts", 0, b"weights")
    assert told == []
