# make app: open the dashboard.  make test: run every test.  Both install what they need into .venv, once.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP_INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --progress-bar off
# Tests run as two processes of one thread each: the networks in them are too small for more threads.
# A process that dies (a hanging test ends its own) is not started again: xdist would run the same test anew.
PYTEST_FLAGS ?= -n 2 --dist loadgroup --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help app install install-dev browser lint format test docs results clean

help:
	@echo "make app      install into $(VENV) (once) and open the dashboard"
	@echo "make test     install what tests need (once) and run them all; ARGS='-k probe' picks some"
	@echo "make lint     check style, formatting and types"
	@echo "make format   put formatting and import order right"
	@echo "make docs     write the API as pages into site/"
	@echo "make results  write docs/results.md, docs/library.md and the notebooks anew"
	@echo "make clean    remove $(VENV) and caches"

app: install
	@echo "Opening the dashboard at http://127.0.0.1:8501 (the next free port where that one is taken) ..."
	@# Streamlit's welcome is hidden for the advertisement that comes with it, on the terminal and over the pages.
	@$(PYTHON) -m streamlit run app.py --server.headless false --server.showEmailPrompt false \
		--logger.hideWelcomeMessage true

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# The stamp is written last, so that an interrupted installation is taken up again.
$(PYTHON):
	@bash tools/create_venv.sh $(VENV)

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml | $(PYTHON)
	@echo "Installing the engine and the dashboard (a few minutes the first time) ..."
	@$(PIP_INSTALL) -r requirements.txt
	@$(PIP_INSTALL) --no-deps --editable .  # the command dali, and import dali from anywhere
	@touch $@
	@echo "Installed."

$(VENV)/.installed-dev: requirements-dev.txt requirements-ray.txt $(VENV)/.installed
	@echo "Installing the linter and the test tools ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@
	@echo "Installed."

browser:
	@bash tools/install_chromium.sh

lint: install-dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: install-dev
	$(PYTHON) -m ruff check --fix --select I .
	$(PYTHON) -m ruff format .

test: install-dev browser
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(PYTEST_FLAGS) $(ARGS)

docs: install-dev
	$(PYTHON) -m pdoc --docformat google --output-directory site dali dali.library

results: install-dev
	$(PYTHON) -m dali results --output docs/results.md --readme README.md
	$(PYTHON) tools/api_page.py --output docs/library.md
	$(PYTHON) tools/notebooks.py

clean:
	rm -rf site $(VENV) .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
