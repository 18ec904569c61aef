package main

import "unsafe"

// addressOf is for a raw system call in a forked child, where nothing moves.
func addressOf(b *[1]byte) uintptr { return uintptr(unsafe.Pointer(b)) }
