import cv2
import pytest

from urbanssl.opencv import one_opencv_thread


@one_opencv_thread()
def _divide_by_zero():
    assert cv2.getNumThreads() == 1
    return 1 / 0


def test_threads_of_opencv_come_back_even_after_an_error():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            _divide_by_zero()
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
