// Command tlog reads an export of our log with the tools of Go's checksum database, which share no line with ours.
//
//	tlog VERIFIER_KEY EXPORT [PROOF ENTRY]...
//
// It opens the checkpoints, reads tiles through a reader that believes only what leads to the signed root, reads every
// bundle, proves entries (all of a small log, a thousand of a large one) and every older checkpoint, and checks proofs
// that we wrote. It prints what it did as JSON; anything that
// does not hold ends it with a sentence and exit code 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
	most   = 1000
	title  = "c2sp.org/tlog-proof@v1"
)

type done struct {
	Size    int64  `json:"size"`
	Root    string `json:"root"`
	Records int    `json:"records"`
	Trees   int    `json:"trees"`
	Proofs  int    `json:"proofs"`
}

func main() {
	found, err := run(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}

func run(vkey, folder string, proofs []string) (done, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return done{}, err
	}
	tree, err := checkpoint(filepath.Join(folder, "checkpoint"), verifier)
	if err != nil {
		return done{}, err
	}
	reader := tlog.TileHashReader(tree, tiles{folder})
	found := done{Size: tree.N, Root: fmt.Sprintf("%x", tree.Hash[:])}
	if found.Records, err = records(folder, tree, reader); err != nil {
		return done{}, err
	}
	if found.Trees, err = trees(folder, verifier, tree, reader); err != nil {
		return done{}, err
	}
	for at := 0; at+1 < len(proofs); at += 2 {
		if err := proved(verifier, proofs[at], proofs[at+1]); err != nil {
			return done{}, fmt.Errorf("%s: %w", proofs[at], err)
		}
		found.Proofs++
	}
	return found, nil
}

// tiles reads hashes by the paths of c2sp.org/tlog-tiles: those of the checksum database without the height.
type tiles struct{ folder string }

func (tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for at, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		data, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		found[at] = data
	}
	return found, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func checkpoint(path string, verifier note.Verifier) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	return signed(data, verifier)
}

func signed(data []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// records reads every bundle and proves its entries, of a large log only some.
func records(folder string, tree tlog.Tree, reader tlog.HashReader) (int, error) {
	step, count := tree.N/most+1, 0
	for first := int64(0); first < tree.N; first += width {
		tile := tlog.Tile{H: height, L: 0, N: first / width, W: width}
		if tree.N-first < width {
			tile.W = int(tree.N - first)
		}
		path := "tile/entries/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/0/", height))
		entries, err := bundle(filepath.Join(folder, path), tile.W)
		if err != nil {
			return 0, err
		}
		for at, entry := range entries {
			index := first + int64(at)
			if index%step != 0 && index != tree.N-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, index, reader)
			if err != nil {
				return 0, err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				return 0, fmt.Errorf("entry %d: %w", index, err)
			}
			count++
		}
	}
	return count, nil
}

func bundle(path string, count int) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(data))
		if end > len(data) {
			break
		}
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(entries) != count || len(data) != 0 {
		return nil, fmt.Errorf("%s: found %d entries and %d bytes more, expected %d", path, len(entries), len(data), count)
	}
	return entries, nil
}

// trees proves that every older checkpoint is the beginning of this tree.
func trees(folder string, verifier note.Verifier, tree tlog.Tree, reader tlog.HashReader) (int, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "checkpoints", "*"))
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		older, err := checkpoint(path, verifier)
		if err != nil {
			return 0, err
		}
		proof, err := tlog.ProveTree(tree.N, older.N, reader)
		if err != nil {
			return 0, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
	}
	return len(paths), nil
}

// proved checks a file of c2sp.org/tlog-proof against the entry beside it.
func proved(verifier note.Verifier, proofPath, entryPath string) error {
	data, err := os.ReadFile(proofPath)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryPath)
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(data), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != title {
		return fmt.Errorf("not a proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	tree, err := signed([]byte(parts[1]), verifier)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("not a hash: %s", line)
		}
		var hash tlog.Hash
		copy(hash[:], raw)
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}
