# Everything runs in .venv/, which the first target you call makes. Interrupt with Ctrl-C and call again: it goes on.
PYTHON  ?= python3
PROFILE ?= fast
PY      := .venv/bin/python
STAMP   := .venv/.installed

.PHONY: help install course lab app site test bench
.DELETE_ON_ERROR:

help:
	@echo "make install   set up .venv/ (the other targets do it too)"
	@echo "make course    run the numbered notebooks headless; PROFILE=fast (default) or full; NOTEBOOKS=\"01 extras\" for some;"
	@echo "               OUT=folder for the executed copies, otherwise build/notebooks/"
	@echo "make lab       open the notebooks in JupyterLab; as root, in a container: ARGS=--allow-root"
	@echo "make app       open the playground as a page without code, on this computer only"
	@echo "make site      build the course's web site into build/site/ or OUT=folder, to be read without a network"
	@echo "make test      run the tests; ARGS=\"-m 'not notebooks'\" for the quick ones"
	@echo "make bench     measure speed on this machine"

install: $(STAMP)

# The stamp is written last, so an interrupted installation is taken up again; it is repeated when pyproject.toml changes.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "The course needs Python 3.10 or newer, found: `$(PYTHON) --version 2>&1`. Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv || \
	  { echo "Could not make $(CURDIR)/.venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv/ (PyTorch is large: the first time takes some minutes)"
	$(PY) -m pip install --disable-pip-version-check --editable ".[dev]"
	@touch $@

course: $(STAMP)
	@$(PY) notebooks/tools/run_notebooks.py --profile $(PROFILE) $(if $(OUT),--out "$(OUT)") $(NOTEBOOKS)

# Without the setting, the server closes the connection without a word when a photo of more than 10 MB is uploaded.
# Voila warns of such a setting on the command line; it reads it, and the address, from voila.json.
lab: $(STAMP)
	$(PY) -m jupyterlab notebooks --ServerApp.tornado_settings='{"websocket_max_message_size": 104857600}' $(ARGS)

app: $(STAMP)
	$(PY) -m voila notebooks/07_playground.ipynb --theme=light --progressive_rendering=True

site: $(STAMP)
	$(PY) docs/build_site.py $(if $(OUT),--out "$(OUT)")

# Two processes of one thread each take whole files, in the order of conftest.py: quick tests first.
test: $(STAMP)
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(STAMP)
	$(PY) -m maskdepth_utils bench $(ARGS)
