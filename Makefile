# The two that a reader needs: `make lab` and `make test`. Both set up .venv first, on a machine with nothing but
# Python (3.11 to 3.13) and make. For a PyTorch without CUDA (Linux, 3 GB less to download):
#     PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make lab

PYTHON ?= python3
BIN := .venv/bin
HW ?= 03

# Two tests at once, one thread each: on two cores that is quicker than one test with two.
PYTEST = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

# Node comes from PyPI, as all else that the tests need.
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix front

.PHONY: lab test check lint front notebooks times html slides slides-pdf site homework clean

lab: .venv/lab  # without make: python -m course_utils.authoring.lab
	$(BIN)/python -m course_utils.authoring.lab

test: lint  # everything that CI runs
	$(PYTEST)

check: lint  # the quick half: what needs no notebook, no browser, no program of its own and no measuring of models
	$(PYTEST) $(patsubst %,--ignore tests/%,notebooks browser programs models)

lint: .venv/test .venv/front
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(NPM) run --silent check
	$(NPM) test --silent

front: .venv/front  # the explorers' front ends: TypeScript in front/, one file each in course_utils/explorers
	$(NPM) run --silent fix
	$(NPM) run --silent build

notebooks: .venv/test  # execute all of them anew
	$(BIN)/python -m course_utils.authoring.notebooks build notebooks/[0-9]*.py
	$(BIN)/course homework build notebooks/homework/source/hw[0-9][0-9].py

times: .venv/test  # how long each notebook takes, here and on a plain laptop; nothing else may run beside it
	$(BIN)/python benchmarks/times.py

html: .venv/lab  # one page a notebook, alive without a kernel or a network
	$(BIN)/python -m course_utils.authoring.pages --out html notebooks/[0-9]*.ipynb

slides: .venv/lab  # each notebook as a lecture, in the folder `slides`; open its index.html
	$(BIN)/python -m course_utils.authoring.slides

slides-pdf: .venv/test  # the same, and each deck printed; needs Chromium
	$(BIN)/python -m course_utils.authoring.slides --pdf

site: .venv/site  # the course as a site, in the folder `site`; open its index.html
	$(BIN)/python -m course_utils.authoring.site

homework: .venv/lab  # which exercises of a homework pass: make homework HW=03; that not all do is no error
	$(BIN)/course homework check notebooks/homework/student/hw$(shell printf %02d $(HW:0%=%)).ipynb || test $$? -eq 1

.venv/lab .venv/site .venv/test: .venv/%: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 lab")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Setting up .venv for this, once: some minutes, and longer where PyTorch must be downloaded.'
	$(BIN)/python -m pip install --quiet --editable '.[$*]' --constraint constraints.txt
	touch $@

.venv/front: front/package-lock.json .venv/test
	$(NPM) ci --silent --no-audit --no-fund
	touch $@

clean:
	rm -rf front/node_modules .venv html site slides
