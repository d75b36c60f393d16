package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// The suite's words that a verdict is compared with. The suite has more (FAILED, NON-STRICT,
// UNIMPLEMENTED, and for the close also WRONG CODE, UNCLEAN, FAILED BY CLIENT). All of those mean
// the same here: not passed.
const (
	wordOK            = "OK"
	wordInformational = "INFORMATIONAL"
	wordMissing       = "NO RESULT" // ours: the suite has no word for a case that it could not run
)

// informationalCases are the cases for which the RFC leaves the right answer open.
var informationalCases = []string{"7.1.6", "7.13.1", "7.13.2"}

// An outcome is the suite's result for one case.
type outcome struct {
	ID            string `json:"-"`
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
	CloseCode     *int   `json:"remoteCloseCode"` // the code that our close frame carried, or nil for none
	ReportFile    string `json:"reportfile"`

	why string // the suite's own sentences, for a case that is not OK
}

// verdict is the word by which a case is counted. It is the verdict of the messages or, if those
// were as they should be, that of the closing handshake.
func (o outcome) verdict() string {
	switch {
	case o.Behavior != wordOK && o.Behavior != wordInformational:
		return o.Behavior
	case o.BehaviorClose != wordOK && o.BehaviorClose != wordInformational:
		return "close: " + o.BehaviorClose
	case o.Behavior == wordInformational || o.BehaviorClose == wordInformational:
		return wordInformational
	}
	return wordOK
}

func (o outcome) closeCode() string {
	if o.CloseCode == nil {
		return "no code"
	}
	return strconv.Itoa(*o.CloseCode)
}

// readOutcomes returns one outcome for every expected case, even if the shards below dir have left
// nothing behind. This is why there is a list: wstest exits with 0 even if every connection was
// refused.
func readOutcomes(dir string, expected []string) ([]outcome, error) {
	shards, err := filepath.Glob(filepath.Join(dir, "*", "spec.json"))
	if err != nil {
		return nil, err
	}
	found := make(map[string]outcome)
	for _, s := range shards {
		if err := readShard(filepath.Dir(s), found); err != nil {
			return nil, err
		}
	}
	outcomes := make([]outcome, 0, len(expected))
	for _, id := range expected {
		o, ok := found[id]
		if !ok {
			o = outcome{Behavior: wordMissing, BehaviorClose: wordMissing}
		}
		o.ID = id
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// readShard adds the results of one wstest process to found. A process that did not reach its end
// has written no index, so its cases are then missing.
func readShard(dir string, found map[string]outcome) error {
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var byAgent map[string]map[string]outcome
	if err := json.Unmarshal(data, &byAgent); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "index.json"), err)
	}
	for _, byCase := range byAgent {
		for id, o := range byCase {
			if o.verdict() != wordOK {
				if o.why, err = readWhy(filepath.Join(dir, o.ReportFile)); err != nil {
					return err
				}
			}
			found[id] = o
		}
	}
	return nil
}

// readWhy takes the explanation out of the suite's report on one case, and the reason in our own
// close frame.
func readWhy(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var report struct {
		Result            string `json:"result"`
		ResultClose       string `json:"resultClose"`
		RemoteCloseReason string `json:"remoteCloseReason"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	why := report.Result + " " + report.ResultClose
	if report.RemoteCloseReason != "" {
		why += fmt.Sprintf(" Our reason: %q", report.RemoteCloseReason)
	}
	return why, nil
}
