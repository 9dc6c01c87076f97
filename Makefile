# What can be done here:
#
#   make run      build the daemon and serve on its built-in defaults (needs only Go)
#   make test     all checks, real Postfix and Sendmail included (needs root on Debian)
#   make demo     a private Postfix, the daemon and a handful of bounces, to look at (needs root;
#                 Debian's postfix package stays)
#   make build    bin/bounce-milter
#   make install  binary, manual pages, units and recipes; DESTDIR, PREFIX, SYSCONFDIR
#   make packages static binaries, .deb, .rpm and images for amd64 and arm64, in bin/packages
#   make fuzz     every fuzz target for five minutes (FUZZTIME)
#   make soak     mail and records while the daemon is killed and attacked, and an outage (DURATION=10m)
#   make cost     search for messages that are expensive to read (DURATION=10m)
#   make bench    the daemon compared with no-op milters, on the wire and under Postfix
#   make bench-log  classify compared with pflogsumm and logwatch, on one big log
#   make clean    remove what the other targets made
#   make help     print this list
#
# A target installs the Debian packages that it needs.

.DEFAULT_GOAL := build
# Checks share bin/ and the processors, with whatever -j.
.NOTPARALLEL:
.PHONY: help build binary licenses run test check unit race e2e rules demo fuzz soak cost bench bench-log install packages clean debs

GO         ?= go
FUZZTIME   ?= 5m
DURATION   ?= 10m
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
ZSHDIR     ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHDIR    ?= $(if $(filter /usr,$(PREFIX)),/usr/share/fish/vendor_completions.d,$(SYSCONFDIR)/fish/completions)
UNITDIR    ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/systemd/system

# The tools of the checks have their own module, so that importers of ours do not get
# their dependencies.
TOOL = $(GO) tool -modfile=internal/tools/go.mod

# Go ends the tests of a package after 10 minutes. A busy machine must not fail a test.
GOTEST = $(GO) test -timeout 1h

# Tests make unix sockets in temporary folders, and the path of one has 107 octets at most
# (unix(7)). Nor does a test expect quotation marks around such a folder.
ifneq ($(shell printf %s "$$TMPDIR" | grep -x '.\{30,\}\|.*[^A-Za-z0-9/._-].*'),)
export TMPDIR = /tmp
endif

# What other programs say is compared in English, and a locale may be absent.
export LC_ALL = C.UTF-8

# Outside a checkout, or in one of another user, there is no revision; build anyway.
BUILDVCS := -buildvcs=$(if $(shell git rev-parse HEAD 2>/dev/null),true,false)

# The program that make install installs, and the licences of what is linked into it.
BINARY   ?= bin/bounce-milter
LICENSES ?= bin/licenses

help:
	@sed -n 's/^#   \( *\)/\1/p' Makefile

build: binary licenses

binary:
	@packaging/go-version.sh '$(GO)'
	$(GO) build $(BUILDVCS) -trimpath -ldflags '-s -w' -o $(BINARY) ./cmd/bounce-milter

licenses:
	@rm -rf $(LICENSES) && GO='$(GO)' packaging/licenses.sh $(LICENSES)

run: build
	bin/bounce-milter serve

test: check unit race e2e rules
	@echo "all tests passed"

debs:
	@internal/lab/debs.sh postfix postfix-sqlite sqlite3 miltertest m4 libsasl2-modules dovecot-sieve amavisd-new bsdutils curl zsh fish logrotate openssl python3 mandoc groff prometheus prometheus-postfix-exporter chromium \
		debootstrap iproute2 systemd-container lintian rpm rpmlint cpio umoci skopeo

check:
	@echo "=== gofmt, go vet, staticcheck, nilness"
	@out=$$(gofmt -l cmd classify config internal milter); if [ -n "$$out" ]; then echo "gofmt would change:" $$out; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e ./...
	$(TOOL) staticcheck -tags e2e ./...
	$(TOOL) nilness ./...
	cd internal/tools && $(GO) vet ./image

unit:
	@echo "=== unit tests"
	$(GOTEST) ./...

# Bounds on time and allocations hold only without the race detector.
race:
	@echo "=== unit tests under the race detector"
	$(GOTEST) -race -short -skip '^Test(.*Cost.*|.*Allocates.*|MemoryOfReading|MemoryIsLinear)$$' ./...

e2e: debs
	@echo "=== end-to-end tests: $$(postconf -h -d mail_name) $$(postconf -h -d mail_version), $$(apt-cache show --no-all-versions sendmail-bin 2>/dev/null | sed -n 's/^Version: /Sendmail /p'), $$(dpkg-query -W -f 'miltertest $${Version}' miltertest)"
	$(GOTEST) -tags e2e -count=1 -run '^Test(Shells|Logrotate|Tools|Documented.*|Dashboard.*)$$' ./cmd/bounce-milter ./internal/event/file ./internal/event/webhook ./internal/lab/mixin
	cd internal/lab && $(GOTEST) -tags e2e -count=1 . ./install

rules: build
	@echo "=== every rule is reached by its own examples"
	bin/bounce-milter rules test

demo:
	@if [ "$$(id -u)" != 0 ]; then echo 'make demo starts a private Postfix, which needs root: sudo env PATH="$$PATH" make demo' >&2; exit 1; fi
	@echo "make demo: as root, a private Postfix in a temporary folder; Debian's postfix package is installed if it is missing, and stays"
	@$(MAKE) --no-print-directory build
	@internal/lab/debs.sh postfix
	@$(GO) run $(BUILDVCS) ./internal/lab/demo -bin bin/bounce-milter

fuzz:
	@internal/lab/fuzz.sh $(FUZZTIME)

soak: build
	@internal/lab/debs.sh postfix
	@$(GO) run $(BUILDVCS) ./internal/lab/soak -bin bin/bounce-milter -duration $(DURATION)

cost:
	@$(GO) run $(BUILDVCS) ./internal/cost/search -duration $(DURATION) -dir bin/cost

bench: build
	@internal/lab/debs.sh postfix libmilter-dev
	@$(GO) run $(BUILDVCS) ./internal/lab/bench -bin bin/bounce-milter

bench-log: build
	@internal/lab/debs.sh pflogsumm logwatch
	@$(GO) run $(BUILDVCS) ./internal/lab/benchlog -bin bin/bounce-milter

# Everything that is installed, here and by the packages: make packages runs this target.
# What make has built is not built again, because root often has no Go on its PATH.
# An administrator's files in SYSCONFDIR stay.
install: $(if $(wildcard $(BINARY)),,binary) $(if $(wildcard $(LICENSES)),,licenses)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSCONFDIR)/bounce-milter/rules.d
	install -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/bounce-milter
	for page in packaging/man/*.[158]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions cmd/bounce-milter/completion/bounce-milter
	install -D -m 644 -t $(DESTDIR)$(ZSHDIR) cmd/bounce-milter/completion/_bounce-milter
	install -D -m 644 -t $(DESTDIR)$(FISHDIR) cmd/bounce-milter/completion/bounce-milter.fish
	install -m 644 systemd/* $(DESTDIR)$(UNITDIR)
	install -D -m 644 packaging/sysusers.d/bounce-milter.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/bounce-milter.conf
	install -D -m 644 packaging/tmpfiles.d/bounce-milter.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/bounce-milter.conf
	doc=$$(realpath -m $(DESTDIR)$(PREFIX)/share/doc/bounce-milter) && \
		(cd packaging && find $(RECIPES) -type f -exec install -D -m 644 {} "$$doc/{}" \;) && \
		cd $(LICENSES) && find * -type f -exec install -D -m 644 {} "$$doc/licenses/{}" \;
	install -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/bounce-milter/LICENSE
	test -e $(DESTDIR)$(SYSCONFDIR)/bounce-milter/config.toml || \
		install -m 644 packaging/config.toml $(DESTDIR)$(SYSCONFDIR)/bounce-milter/config.toml
	test -e $(DESTDIR)$(SYSCONFDIR)/logrotate.d/bounce-milter || \
		install -D -m 644 packaging/logrotate/bounce-milter $(DESTDIR)$(SYSCONFDIR)/logrotate.d/bounce-milter

# The folders of packaging that become documents: those with recipes, and nothing that
# only builds packages or has a place of its own.
RECIPES = $(filter-out man package sysusers.d tmpfiles.d,$(notdir $(patsubst %/,%,$(wildcard packaging/*/))))

# Two builds of a commit are equal to the byte, in whatever folder.
packages:
	@GO='$(GO)' packaging/package/build.sh bin/packages

clean:
	rm -rf bin
