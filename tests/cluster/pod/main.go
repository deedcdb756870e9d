// Command pod is what the tests' own pods run, and what holds every pod's network namespace open.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const usage = `pod pause                  does nothing until it is told to end
pod wait SECONDS           does nothing for so long, and ends
pod exit CODE [MESSAGE]    ends, with a termination message
pod eat MIB                takes so much memory, and then pauses
pod greet                  answers each caller on port 7000 with its own host name
pod meet HOST...           greets, and calls each host, until all have met`

const port = ":7000"

func main() {
	arguments := append(os.Args[1:], "", "", "")
	var err error
	switch command, argument := arguments[0], arguments[1]; command {
	case "pause":
		pause()
	case "wait":
		err = wait(argument)
	case "exit":
		err = exit(argument, arguments[2])
	case "eat":
		err = eat(argument)
	case "greet":
		err = greet(ignored())
	case "meet":
		err = meet(os.Args[2:])
	default:
		err = fmt.Errorf("usage:\n%s", usage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// pause waits for a signal: process 1 of a container gets no other default.
func pause() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
}

func wait(seconds string) error {
	number, err := strconv.Atoi(seconds)
	if err == nil {
		time.Sleep(time.Duration(number) * time.Second)
	}
	return err
}

func exit(code, message string) error {
	number, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	if message != "" {
		if err := os.WriteFile("/dev/termination-log", []byte(message), 0o644); err != nil {
			return err
		}
	}
	os.Exit(number)
	return nil
}

func eat(mebibytes string) error {
	number, err := strconv.Atoi(mebibytes)
	if err != nil {
		return err
	}
	memory := make([]byte, number<<20)
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	pause()
	memory[0] = 0
	return nil
}

func ignored() chan<- struct{} {
	callers := make(chan struct{})
	go func() {
		for range callers {
		}
	}()
	return callers
}

// greet answers callers for ever, and tells of each.
func greet(callers chan<- struct{}) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", port)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(connection, name)
		connection.Close()
		callers <- struct{}{}
	}
}

// meet ends when each of hosts has answered, and as many have called: nobody goes before all have met.
func meet(hosts []string) error {
	callers := make(chan struct{}, len(hosts))
	failed := make(chan error, 1)
	go func() { failed <- greet(callers) }()
	for _, host := range hosts {
		fmt.Print("met ", call(host))
	}
	for range hosts {
		select {
		case <-callers:
		case err := <-failed:
			return err
		}
	}
	return nil
}

// call tries again and again: a name is there only some time after its pod, and its port after that.
func call(host string) string {
	for {
		connection, err := net.DialTimeout("tcp", host+port, time.Second)
		if err == nil {
			line, err := bufio.NewReader(connection).ReadString('\n')
			connection.Close()
			if err == nil {
				return line
			}
		}
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(100 * time.Millisecond)
	}
}
