# One command before every commit: `make check`. Every target is a plain cargo command; read them here, use them alone.
CARGO ?= cargo

.PHONY: check check-but-tests fmt clippy test doc deny advisories fuzz torture bench micro quality documents deb rpm

check: fmt clippy test doc deny advisories

# For CI, which has run the tests already.
check-but-tests: fmt clippy doc deny advisories

fmt:
	$(CARGO) fmt --check

clippy:
	$(CARGO) clippy --locked --all-targets -- -D warnings

# Includes the [[test]] blocks of the shipped content and the tidy rules of ARCHITECTURE.md.
test:
	$(CARGO) test --locked

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

# cargo install --locked cargo-deny
deny:
	$(CARGO) deny --locked check bans licenses sources

# The advisory database has a host of its own, which some build machines cannot reach.
advisories:
	@if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote -q https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; \
	then $(CARGO) deny --locked check advisories; \
	else echo "advisories: NOT CHECKED, the advisory database cannot be reached from here"; fi

# Each target for FUZZ_SECONDS over its committed corpus. cargo install --locked cargo-fuzz; needs a C++ compiler.
# Its build needs another target directory than everything else: the sanitizer is in every crate.
FUZZ_SECONDS ?= 10
fuzz:
	env -u CARGO_TARGET_DIR fuzz/run.sh $(FUZZ_SECONDS)

# The programmes of docs/reliability.md in full: some two hours, twenty minutes of them a soak. As root, so that disks can be
# made, filled and cut off. What fails prints the command that repeats it.
torture:
	EXFIL_AGENT_TORTURE=1 $(CARGO) test --locked
	$(MAKE) fuzz FUZZ_SECONDS=60

# The product beside the yardstick and its peers, in one run; a run of all rows writes the tables of docs/performance.md.
# YARDSTICK says where the yardstick lies. BENCH="--rounds 2 --rows peers,product" does less; BENCH=--help tells all.
# What is measured is the release build; the benchmark itself only starts it and is built like the tests.
YARDSTICK ?= ../shared/bench
bench:
	$(CARGO) build --release --locked
	$(CARGO) bench --locked --profile dev --bench versus -- --yardstick $(YARDSTICK) $(BENCH)

# What single steps cost: cutting, parsing, enrichment, rules, histograms, encoding, a commit. MICRO=parsing does only that.
# The disk of the commits is that of TMPDIR.
micro:
	$(CARGO) bench --locked --bench micro -- $(MICRO)

# How good the rules are: recall, precision and volume on five simulated offices whose truth is known; writes the tables of
# docs/quality.md. QUALITY="--users 60 --days 40" does less and prints only; QUALITY=--tune tries numbers on the tuning seed.
quality:
	$(CARGO) bench --locked --profile dev --bench quality -- $(QUALITY)

# Man pages and completions from the tables of arguments, and the licences of what is compiled in.
# cargo install --locked --features cli cargo-about
documents:
	$(CARGO) run --locked --quiet --example documents -- target/documents
	gzip -9n target/documents/man*/*
	gzip -9nc CHANGELOG.md >target/documents/changelog.gz
	$(CARGO) about generate --locked --offline --config packaging/third-party/about.toml \
		packaging/third-party/third-party.hbs --output-file target/documents/third-party
	gzip -9nf target/documents/third-party

# What an administrator installs; both land in target/packages. cargo install --locked cargo-deb cargo-generate-rpm
deb: documents
	$(CARGO) build --release --locked
	$(CARGO) deb --locked --no-build --output target/packages/

rpm: documents
	$(CARGO) build --release --locked
	mkdir -p target/packages
	$(CARGO) generate-rpm --output target/packages/
