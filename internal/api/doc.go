// Package api holds what the repository says of itself to the code.
//
// Every exported name that an importer may use stands in a listing below docs/api,
// for which Semantic Versioning holds. A line that goes or changes breaks importers, a
// line that comes is a feature, and neither happens without the listing in the same
// commit. The picture in docs/architecture.md shows the packages and what imports what.
package api
