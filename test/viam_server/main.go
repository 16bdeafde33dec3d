// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

// viam_server is a real viam-server for tests, with bases and motors that record every call.
//
//	viam_server CONFIG.json --record FILE.jsonl [--webrtc] [--late 1s] [--parent PID]
//
// It prints "serving ADDRESS" once it listens. It leaves out the stock entry point's network
// checks. TLS is on exactly when the configuration names a certificate (network.tls_cert_file).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	_ "go.viam.com/rdk/components/base/sensorcontrolled"
	_ "go.viam.com/rdk/components/base/wheeled"
	"go.viam.com/rdk/config"
	"go.viam.com/rdk/logging"
	robotimpl "go.viam.com/rdk/robot/impl"
	weboptions "go.viam.com/rdk/robot/web/options"
	"golang.org/x/sys/unix"
)

// The main goroutine keeps the main thread, which dieWith is about.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "viam_server:", err)
		os.Exit(1)
	}
}

// run serves until SIGTERM or SIGINT.
func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: viam_server CONFIG.json --record FILE.jsonl [...]")
	}
	flags := flag.NewFlagSet("viam_server", flag.ContinueOnError)
	recordPath := flags.String("record", "", "the JSON Lines file that calls are appended to")
	webrtc := flags.Bool("webrtc", false, "answer WebRTC too (may look for STUN servers)")
	late := flags.Duration("late", 0, "serve so long before there are components, as when booting")
	parent := flags.Int("parent", 0, "the process to die with: the one that starts this one")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if err := dieWith(*parent); err != nil {
		return err
	}
	if *recordPath == "" {
		return errors.New("--record FILE.jsonl is missing")
	}
	if err := openRecord(*recordPath); err != nil {
		return err
	}

	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer cancel()
	// Calls that hang would hold up the shutdown: they end first.
	context.AfterFunc(ctx, func() { close(shuttingDown) })

	logger := logging.NewLogger("viam_server")
	cfg, err := config.Read(ctx, args[0], logger, nil)
	if err != nil {
		return err
	}
	options, err := weboptions.FromConfig(cfg)
	if err != nil {
		return err
	}
	options.NoTLS = cfg.Network.TLSCertFile == ""
	options.DisallowWebRTC = !*webrtc
	options.DisableMulticastDNS = true

	// As the stock entry point does it: the port is open before the components are built.
	first := cfg
	if *late > 0 {
		bare := *cfg
		bare.Components, bare.Modules = nil, nil
		first = &bare
	}
	machine, err := robotimpl.New(ctx, first, nil, logger)
	if err != nil {
		return err
	}
	// web.RunWeb in two halves, to say in between that the listener is up.
	served := machine.StartWeb(ctx, options)
	if served == nil {
		fmt.Println("serving", cfg.Network.BindAddress)
		select {
		case <-time.After(*late):
			if first != cfg {
				machine.Reconfigure(ctx, cfg)
			}
		case <-ctx.Done():
		}
		<-ctx.Done()
	}
	return errors.Join(served, machine.Close(context.Background()))
}

// dieWith has the kernel kill this process when the thread that started it ends, however that
// happens and also while this one is stopped.
func dieWith(parent int) error {
	if parent == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != parent {
		return errors.New("the parent has gone")
	}
	return nil
}
