# What a person or CI does with this repository. Every target installs what it needs from the distribution, and says so.
SHELL      := /bin/bash
GO          = $(eval GO := $(or $(shell packaging/toolchain),$(error there is no Go; see above)))$(GO)
VERSION    ?= 0.1.0
DEMO       ?= 1.0.0
RELEASE    := bin/demo/$(DEMO)
LDFLAGS     = -s -w -X main.version=$(VERSION)
BUILD       = $(GO) build
SOURCES    := $(shell find cmd supervisor services limits -type f -not -name '*_test.go' 2>/dev/null) go.mod go.sum
RUN_NEEDS  := git=git redis-server=redis-server '/usr/lib/postgresql/*/bin/initdb=postgresql' '/usr/lib/*/libnss_wrapper.so=libnss-wrapper' ssh=openssh-client
TEST_NEEDS := $(RUN_NEEDS) qemu-system-x86_64=qemu-system-x86 chromium=chromium mmdebstrap=mmdebstrap docker=docker.io cpio=cpio \
	'/usr/lib/git-core/git-daemon=git-daemon-run' s6-log=s6 mkfs.xfs=xfsprogs /usr/sbin/sshd=openssh-server zsh=zsh fish=fish ip=iproute2 \
	prometheus=prometheus prometheus-alertmanager=prometheus-alertmanager prometheus-node-exporter=prometheus-node-exporter
BENCH_NEEDS := $(RUN_NEEDS) s6-supervise=s6 runsvdir=runit supervisord=supervisor tini=tini nginx=nginx-light haproxy=haproxy wrk=wrk

# The same for what is shipped, checked and tested, so that each package is compiled once. No stamp of git's: it would break the build of a checkout
# that is somebody else's, and the version comes from here. The documentation writer of the CLI library would cost each start 3 ms.
export CGO_ENABLED := 0
export GOFLAGS += -trimpath -buildvcs=false -tags=urfave_cli_no_docs

.PHONY: build run test race lint bench image release clean

build: bin/sourcegraph $(RELEASE)/manifest.json ## bin/sourcegraph and the demo release

bin/sourcegraph: $(SOURCES)
	$(BUILD) -ldflags '$(LDFLAGS)' -o $@ ./cmd/sourcegraph

$(RELEASE)/manifest.json: $(SOURCES) Makefile
	rm -rf $(RELEASE) && mkdir -p $(RELEASE)/bin
	$(BUILD) -ldflags '-s -w -X main.version=$(DEMO)' -o $(RELEASE)/bin/frontend ./cmd/demo
	cd $(RELEASE)/bin && for p in gitserver searcher worker migrator; do ln -f frontend $$p; done
	echo '{"schema": 1, "product": "demo", "version": "$(DEMO)", "arch": "$(shell dpkg --print-architecture)"}' > $@

run: build ## the demo on http://127.0.0.1:7080, with REPOS="URL …" (default: this repository)
	@packaging/host-packages $(RUN_NEEDS)
	@packaging/run-demo '$(RELEASE)' $(if $(REPOS),$(REPOS),'$(CURDIR)')

test: ## everything that CI runs, lint too
	@packaging/host-packages $(TEST_NEEDS)
	$(MAKE) build
	CI=$${CI:-true} VM_KERNEL=$$(.ci/vm-kernel) .ci/test "$(MAKE) lint"

race: export CGO_ENABLED := 1
race:
	@packaging/host-packages gcc=gcc /usr/include/stdlib.h=libc6-dev
	$(GO) test -race -short ./...

lint: ## vet, staticcheck, tidy, format
	@test -z "$$(gofmt -l cmd supervisor services limits packaging | tee /dev/stderr)"
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: build ## the figures of ARCHITECTURE.md, peers side by side
	@packaging/host-packages $(BENCH_NEEDS)
	$(GO) run ./cmd/bench -go $(GO)

image: build ## sourcegraph:$(VERSION), without any registry
	@packaging/host-packages mmdebstrap=mmdebstrap docker=docker.io
	packaging/image/build $(VERSION) $(RELEASE)

release: build ## a tarball of the binary and the demo release
	tar -C bin -czf bin/sourcegraph-$(VERSION).tar.gz sourcegraph demo/$(DEMO)

clean:
	rm -rf bin
