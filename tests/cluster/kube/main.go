// Command kube is all of a test cluster in one static binary: etcd, the Kubernetes components, kubectl, CoreDNS, and
// kwok, which plays nodes that aren't there. The name it is called by, or its first argument, says which one it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
)

// commands are the components that are built on cobra, as Kubernetes' own main functions start them.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

// programs are the others: each reads os.Args and returns when it has ended.
var programs = map[string]func() error{
	"etcd":    func() error { etcdmain.Main(os.Args); return nil },
	"coredns": serveDNS,
	"kwok":    playNodes,
}

func main() {
	name := filepath.Base(os.Args[0])
	if name == "kube" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	if command, found := commands[name]; found {
		os.Exit(cli.Run(command()))
	}
	program, found := programs[name]
	if !found {
		program = func() error { return fmt.Errorf("there is no component %q", name) }
	}
	if err := program(); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

// serveDNS runs CoreDNS on the Corefile that is its only argument. CoreDNS's own main function would register its
// flags where Kubernetes has registered others.
func serveDNS() error {
	if len(os.Args) != 2 {
		return errors.New("usage: coredns COREFILE")
	}
	corefile, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	server, err := caddy.Start(caddy.CaddyfileInput{Filepath: os.Args[1], Contents: corefile, ServerTypeName: "dns"})
	if err != nil {
		return err
	}
	server.Wait()
	return nil
}

// playNodes runs kwok.
func playNodes() error {
	// kwok would take Kubernetes' --version, which is no boolean, for its own.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ExitOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(context.Background(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := kwok.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	return command.ExecuteContext(ctx)
}
