# One way to do each chore; .ci/run calls the same commands.
.PHONY: run test short soak lint types docs bench

run:
	tendis-py

test:
	pytest

short:
	pytest @tests/short.txt

soak:
	pytest -m soak

lint:
	ruff check .
	ruff format --check .

types:
	mypy

docs:
	python -m docs.build

bench:
	python -m bench.compare
	python -m bench.curves
	python -m bench.redis_defaults
	python -m bench.collections
	python -m bench.cold
	python -m bench.isolation
	python -m bench.memory
