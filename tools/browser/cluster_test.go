package browser

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clusterPatience is for what a cluster may take its time for: its start, and the election of a
// leader.
const clusterPatience = 30 * time.Second

// startCluster builds the example, which is a module of its own, and runs three nodes.
func startCluster(t *testing.T) (nodes []*Server) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cluster")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "examples", "cluster")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the example cluster: %v\n%s", err, out)
	}
	ports := freePorts(t, 6)
	pages, brokers := ports[:3], ports[3:]
	dir := t.TempDir()
	for i := range 3 {
		nodes = append(nodes, Run(t, program, "-addr", pages[i], "-name", fmt.Sprint("n", i+1),
			"-peers", "http://"+strings.Join(pages, ",http://"), "-dir", filepath.Join(dir, fmt.Sprint(i)),
			"-cluster", brokers[i], "-join", strings.Join(brokers, ","), "-presence-ttl", "2s"))
		nodes[i].URL = "http://" + pages[i]
	}
	for _, n := range nodes {
		eventually(t, "a node is ready", func() bool { return strings.Contains(n.Output(), "open http://") })
	}
	return nodes
}

func freePorts(t *testing.T, n int) (addrs []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(clusterPatience); !ok(); time.Sleep(interval) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", clusterPatience, what)
		}
	}
}

// heard returns the texts that a page shows, in their order.
func heard(page *Page) []string {
	page.t.Helper()
	return evaluate[[]string](page, `[...document.querySelectorAll("#log .content")].map((e) => e.textContent)`)
}

// Two pages are on two nodes, and one of these is killed. Both pages have all, once and in one
// order.
func TestCluster(t *testing.T) {
	nodes := startCluster(t)
	ann, bob := Open(t, nodes[0].URL+"/tea"), Open(t, nodes[1].URL+"/tea")
	ann.Labelled()
	for page, name := range map[*Page]string{ann: "Ann", bob: "Bob"} {
		page.Fill("#name", name)
		page.Click("#name-form button")
		page.See("#state", "you are "+name)
	}
	ann.Labelled()
	ann.See("#node", "n1")
	bob.See("#node", "n2")
	ann.See("#people", "Ann", "Bob")
	var said []string
	say := func(page *Page, text string) {
		page.t.Helper()
		page.Fill("#text", text)
		page.Press("\r")
		said = append(said, text)
	}
	say(ann, "<b>one</b>")
	say(bob, "two 👋")
	for _, page := range []*Page{ann, bob} {
		page.See("#log", "<b>one</b>", "two 👋")
	}

	t.Log("what is said while the node dies is not lost")
	nodes[0].signal(syscall.SIGSTOP) // so that it takes bytes and does nothing with them
	say(ann, "into the void")
	say(ann, "and more")
	nodes[0].signal(syscall.SIGKILL)
	<-nodes[0].exited
	say(bob, "are you there?")
	for _, page := range []*Page{ann, bob} {
		eventually(t, "all is stored and shown", func() bool { return len(heard(page)) == len(said) && page.Text("#pending") == "0" })
	}
	ann.See("#state", "you are Ann")
	if node := ann.Text("#node"); node != "n2" && node != "n3" {
		t.Errorf("Ann's page is on %q", node)
	}
	if a, b := heard(ann), heard(bob); !slices.Equal(a, b) {
		t.Errorf("the pages show %q and %q", a, b)
	}
	got := heard(ann)
	slices.Sort(got)
	slices.Sort(said)
	if !slices.Equal(got, said) {
		t.Errorf("the pages show %q, said was %q", got, said)
	}
	for _, page := range []*Page{ann, bob} {
		page.See("#gaps", "0")
		page.See("#doubles", "0")
	}
	bob.See("#connections", "1")
	ann.See("#connections", "2")
	eventually(t, "both are here", func() bool { return bob.Text("#count") == "2" })

	t.Log("on a phone")
	ann.Resize(320, 640)
	for _, page := range []*Page{ann, bob} {
		page.Quiet()
	}
}
