package main

func load(file string, urls []string) error { return nil }
func control(c string) (string, error) { return "", nil }
