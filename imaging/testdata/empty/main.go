// Command empty does nothing: what starting and ending a process costs.
package main

func main() {}
