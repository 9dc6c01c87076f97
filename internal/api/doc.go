// Package api tests what the repository says about itself against the code.
//
// The listings in docs/api have every exported name that importers may use; Semantic
// Versioning covers them. A line that goes or changes breaks importers, a new line is a
// feature, and either needs the listing in the same commit. The picture in
// docs/architecture.md shows the packages and which imports which.
package api
