// Cyclonus' simulator of NetworkPolicy as an oracle: `cyclonus cases` reads a cluster (JSON) and prints what its generator
// makes of it, a line for each test case, with the truth table after every step; `cyclonus judge` reads clusters with
// policies, a line each, and prints a truth table for each. Nothing is run in a cluster.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mattfenwick/cyclonus/pkg/generator"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.SetOutput(os.Stderr)
	logrus.SetLevel(logrus.WarnLevel)
	modes := map[string]func(*json.Decoder, *json.Encoder) error{"cases": cases, "judge": judge}
	if len(os.Args) != 2 || modes[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: cyclonus cases|judge < CLUSTERS")
		os.Exit(2)
	}
	output := bufio.NewWriter(os.Stdout)
	err := modes[os.Args[1]](json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(output))
	if err == nil {
		err = output.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// One test case: what was there, and what Cyclonus expects, after each of its steps.
type testCase struct {
	Name  string   `json:"name"`
	Tags  []string `json:"tags"`
	Steps []step   `json:"steps"`
}

type step struct {
	*cluster
	// By the place of the address among a pod's: what is denied, as "x/a y/b TCP 80".
	Denied [][]string `json:"denied"`
}

func cases(input *json.Decoder, output *json.Encoder) error {
	var given cluster
	if err := input.Decode(&given); err != nil {
		return err
	}
	maker := generator.NewTestCaseGenerator(true, given.Block, given.namespaceNames(), nil, nil)
	for _, made := range maker.GenerateAllTestCases() {
		found := testCase{Name: made.Description, Tags: made.Tags.Keys()}
		state := &given
		for _, next := range made.Steps {
			var err error
			if state, err = state.after(next.Actions); err != nil {
				return fmt.Errorf("%s: %w", made.Description, err)
			}
			found.Steps = append(found.Steps, step{state, state.denied()})
		}
		if err := output.Encode(found); err != nil {
			return err
		}
	}
	return nil
}

func judge(input *json.Decoder, output *json.Encoder) error {
	for {
		var given cluster
		err := input.Decode(&given)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := output.Encode(given.denied()); err != nil {
			return err
		}
	}
}
