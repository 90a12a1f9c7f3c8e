"""What a teacher runs: any number of submissions graded, each in a sandbox of its own, by the teacher's check cells.

Every file that an LMS leaves ends in a row (`handed_in`); the student's code is found wherever it stands in the
notebook (`cells`), and `judging` is the one way from there to the marks, for teacher and student.

What a submission may do is decided three times. `gate` reads the student's code, lets plain Python and the homework's
own imports through and leaves the rest out. What passes runs in a `sandbox`, within limits and behind the `wall`: it
sees the libraries that a homework needs and nothing else of the machine (`doctor` tries that). And between the
student's cells and the checks a watch (`assembly`) compares the functions that checks use with what they were.
Outputs, tags, check cells and everything else in a submission are left aside: checks and what they must print come
from the solution.
"""

import course_utils.authoring  # noqa: F401  says what to install where something is missing
