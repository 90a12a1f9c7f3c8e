"""What a teacher runs: any number of submissions graded, each behind a wall, by what its functions give.

Every file that an LMS leaves ends in a row (`handed_in`); the student's code is found wherever it stands in the
notebook (`cells`), and `judging` is the one way from there to the marks, for teacher and student.

What a student has written runs in a process of its own (`worker`), forked behind a `wall` from one that has imported
torch: it sees the libraries that a homework needs and nothing else of the machine (`doctor` tries that). What decides
stays outside: the teacher's side (`session`) asks that process what the student's functions give to inputs drawn from
a seed, gets plain `values` back, and compares them with the solution's (`hidden`). Whatever code does in its own
process, it gains a point only by the right values. The visible checks only say what is wrong.
"""

import course_utils.authoring  # noqa: F401  says what to install where something is missing
