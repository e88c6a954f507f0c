// Parses each argument as a PromQL expression, and says what is wrong with those that are none.
package main

import (
	"fmt"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	promql := parser.NewParser(parser.Options{})
	wrong := 0
	for _, expression := range os.Args[1:] {
		if _, err := promql.ParseExpr(expression); err != nil {
			fmt.Printf("%s: %v\n", expression, err)
			wrong++
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d expressions\n", len(os.Args)-1)
}
