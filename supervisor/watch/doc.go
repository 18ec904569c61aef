// Package watch tells when files in directories have changed and were then left alone for a while.
//
// It sees what editors and orchestrators do: a rename over the file, a truncation, a swap file beside it, a directory that is replaced or made
// later, and the ..data link of a Kubernetes volume. It does not say what changed: whoever listens reads everything again.
package watch
