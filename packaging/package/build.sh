#!/bin/sh
# Builds what a release consists of: build.sh FOLDER. For amd64 and arm64 that is the
# static program, a .deb, an .rpm and a container image, and then the checksums. GO names the go command.
# Run it at the top of the source.
#
# What is in the packages is what make install installs. Nothing in them depends on the
# time, the user or the folder of the build, so that anyone can make them again and compare.
set -eu
umask 022
export LC_ALL=C TZ=UTC
go=${GO:-go}
here=packaging/package
out=$1

version=$(cat cmd/bounce-milter/VERSION)
released=$(sed -n "s/^## \[$version\] - //p" CHANGELOG.md)
if [ -z "$released" ]; then
	echo "build.sh: CHANGELOG.md has no release $version" >&2
	exit 1
fi
# The time of all files: that of the commit, or of the release where there is no git.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -d "$released" +%s)}"
export SOURCE_DATE_EPOCH

# tree PACKAGER ARCH VARIABLE=… installs into build/root as that family of systems wants
# it; the variables are the Makefile's.
tree() {
	root=$out/build/root
	rm -rf "$root"
	binary=$out/bounce-milter-$version-linux-$2
	doc=$root/usr/share/doc/bounce-milter
	packager=$1
	shift 2
	make -s install BINARY="$binary" LICENSES="$out/build/licenses" DESTDIR="$root" \
		PREFIX=/usr SYSCONFDIR=/etc "$@"
	gzip -n -9 "$root"/usr/share/man/man*/*
	copyright >"$doc/copyright"
	gzip -n -9 <CHANGELOG.md >"$doc/changelog.gz"
	if [ "$packager" = deb ]; then
		install -D -m 644 "$here/deb/lintian-overrides" "$root/usr/share/lintian/overrides/bounce-milter"
	fi
}

copyright() {
	cat <<END
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: bounce-milter
Source: https://github.com/bounce-milter/bounce-milter
Comment:
 The program is linked with libraries of others. Their licences are in the folder
 licenses beside this file, each in a folder with the name of its Go module.

Files: *
Copyright: $(sed -n 's/^Copyright (c) //p' LICENSE)
License: Expat
$(sed -e '1,/^Copyright/d' -e 's/^$/./' -e 's/^/ /' LICENSE | sed 1d)
END
}

# contents lists the files of build/root for nfpm. What is in /etc is the
# administrator's to change.
contents() {
	echo 'contents:'
	(cd "$out/build/root" && find . -type f -o -type d -path '*/bounce-milter*') | sed 's/^\.//' | sort |
	while read -r path; do
		type=file
		if [ -d "$out/build/root$path" ]; then
			type=dir
		else
			case $path in
			/etc/*) type='config|noreplace' ;;
			# For a .deb, nfpm would leave these out.
			/usr/share/doc/* | /usr/share/man/*) [ "$1" = deb ] || type=doc ;;
			esac
		fi
		echo "  - {src: \"root$path\", dst: \"$path\", type: \"$type\"}"
	done
}

rm -rf "$out"
mkdir -p "$out/build"
cp -R "$here/deb" "$here/rpm" "$out/build"
GO=$go packaging/licenses.sh "$out/build/licenses"
"$go" build -modfile=internal/tools/go.mod -o "$out/build/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
(cd internal/tools && "$go" build -buildvcs=false -o "$OLDPWD/$out/build/image" ./image)
cat >"$out/build/changelog.yaml" <<END
- semver: $version-1
  date: ${released}T00:00:00Z
  packager: $(sed -n 's/^maintainer: //p' "$here/nfpm.yaml")
  deb: {distributions: [unstable], urgency: medium}
  changes:
    - note: "Release $version; see changelog.gz."
END

for arch in amd64 arm64; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch make -s GO="$go" BINARY="$out/bounce-milter-$version-linux-$arch" binary
	for packager in deb rpm; do
		case $packager in
		deb) tree deb $arch ;;
		rpm) tree rpm $arch ZSHDIR=/usr/share/zsh/site-functions ;;
		esac
		{ cat "$here/nfpm.yaml"; contents $packager; } >"$out/build/nfpm.yaml"
		(
			cd "$out/build"
			ARCH=$arch VERSION=$version ./nfpm package -p $packager -t .. >log || { cat log >&2; exit 1; }
		)
	done
	"$out/build/image" -out "$out/bounce-milter-$version-oci-$arch.tar" -version "$version" -arch $arch \
		-program "$out/bounce-milter-$version-linux-$arch" -config packaging/container/config.toml -licenses "$out/build/licenses"
done
rm -rf "$out/build"
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
