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
pod exit CODE [MESSAGE]    ends, with a termination message
pod eat MIB                takes so much memory, and then pauses
pod greet                  answers each caller on port 7000 with its own host name
pod meet HOST              prints what the one who greets on HOST answers, as soon as there is one`

func main() {
	arguments := append(os.Args[1:], "", "", "")
	var err error
	switch command, argument := arguments[0], arguments[1]; command {
	case "pause":
		pause()
	case "exit":
		err = exit(argument, arguments[2])
	case "eat":
		err = eat(argument)
	case "greet":
		err = greet()
	case "meet":
		meet(argument)
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

func greet() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":7000")
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
	}
}

// meet calls again and again: a name is there only some time after its pod, and its port after that.
func meet(host string) {
	for {
		if connection, err := net.DialTimeout("tcp", host+":7000", time.Second); err == nil {
			if line, err := bufio.NewReader(connection).ReadString('\n'); err == nil {
				fmt.Print(line)
				return
			}
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
