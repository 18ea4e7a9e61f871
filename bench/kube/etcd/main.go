// A newer etcd than distributions have, for measurements: kube-apiserver streams lists (KEP-3157) only over one that can
// tell the progress of watches on request.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
