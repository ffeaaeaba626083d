// Go, one processor (GOMAXPROCS=1): `go_server echo`, `http` (by hand), `net_http` (its own server) or `udp`. Prints its port.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
)

func echo(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 16384)
	for {
		count, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:count]); err != nil {
			return
		}
	}
}

var page = []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")

// True: it wants a page and goes on. Headers are compared as the servers in C++ do.
func goesOn(reader *bufio.Reader) (asked bool, more bool) {
	line, err := reader.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("GET ")) {
		return false, false
	}
	more = bytes.HasSuffix(line, []byte(" HTTP/1.1\r\n"))
	for {
		line, err = reader.ReadSlice('\n')
		if err != nil {
			return false, false
		}
		if len(line) <= 2 {
			return true, more
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) || bytes.EqualFold(name, []byte("transfer-encoding")) {
			return false, false
		}
		if bytes.EqualFold(name, []byte("connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("close")) {
			more = false
		}
	}
}

func answerPages(conn net.Conn) {
	defer conn.Close()
	reader, writer := bufio.NewReaderSize(conn, 16384), bufio.NewWriterSize(conn, 16384)
	for {
		asked, more := goesOn(reader)
		if asked {
			writer.Write(page)
		}
		// Answers to requests that came together leave together.
		if reader.Buffered() == 0 || !more {
			if writer.Flush() != nil || !more {
				return
			}
		}
	}
}

func serve(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go handle(conn)
	}
}

func serveUDP() {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	fmt.Println(socket.LocalAddr().(*net.UDPAddr).Port)
	buffer := make([]byte, 2048)
	for {
		count, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err == nil {
			socket.WriteToUDPAddrPort(buffer[:count], from)
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) < 2 {
		fmt.Println("version", runtime.Version()[2:])
		return
	}
	if os.Args[1] == "udp" {
		serveUDP()
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	switch os.Args[1] {
	case "http":
		serve(listener, answerPages)
	case "net_http":
		http.Serve(listener, http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
			writer.Header()["Content-Type"] = []string{"text/plain"}
			writer.Write([]byte("Hello, World!"))
		}))
	default:
		serve(listener, echo)
	}
}
