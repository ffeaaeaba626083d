// Go, one processor (GOMAXPROCS=1), or two where threads wake each other. See peer.h for what a peer prints.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type workload struct {
	name     string
	run      func(count int) float64
	countMin int
}

func cpu() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano() + used.Stime.Nano())
}

func since(begin time.Time) float64 { return float64(time.Since(begin).Nanoseconds()) }

func yieldAmong(tasks int) func(int) float64 {
	return func(count int) float64 {
		var all sync.WaitGroup
		begin := time.Now()
		for i := 0; i < tasks; i++ {
			all.Add(1)
			go func() {
				for turn := 0; turn < count/tasks; turn++ {
					runtime.Gosched()
				}
				all.Done()
			}()
		}
		all.Wait()
		return since(begin)
	}
}

func pingPong(count int) float64 {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for value := range there {
			back <- value
		}
	}()
	begin := time.Now()
	for i := 0; i < count; i++ {
		there <- 1
		<-back
	}
	spent := since(begin)
	close(there)
	return spent
}

func spawnJoin(count int) float64 {
	begin := time.Now()
	for i := 0; i < count; i++ {
		done := make(chan int, 1)
		go func() { done <- 1 }()
		<-done
	}
	return since(begin)
}

func spawnMany(count int) float64 {
	begin := time.Now()
	for left := count; left > 0; left -= 1000 {
		var all sync.WaitGroup
		all.Add(1000)
		for i := 0; i < 1000; i++ {
			go all.Done()
		}
		all.Wait()
	}
	return since(begin)
}

func sleeps(count int) float64 {
	before := cpu()
	for left := count; left > 0; left -= 10000 {
		var all sync.WaitGroup
		for i := 0; i < 10000; i++ {
			all.Add(1)
			go func(delay time.Duration) {
				time.Sleep(delay)
				all.Done()
			}(time.Duration(1+i*7919%20000) * time.Microsecond)
		}
		all.Wait()
	}
	return cpu() - before
}

func timers(count int) float64 {
	all := make([]*time.Timer, 100000)
	begin := time.Now()
	for left := count; left > 0; left -= len(all) {
		for i := range all {
			all[i] = time.AfterFunc(time.Duration(1000+i*7919%59000)*time.Millisecond, func() {})
		}
		for _, timer := range all {
			timer.Stop()
		}
	}
	return since(begin)
}

// Goroutines that are locked to a thread each: the nearest to two loops.
func wake(count int) float64 {
	runtime.GOMAXPROCS(2)
	runtime.LockOSThread()
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		for value := range there {
			back <- value
		}
	}()
	begin := time.Now()
	for i := 0; i < count; i++ {
		there <- 1
		<-back
	}
	spent := since(begin)
	close(there)
	runtime.UnlockOSThread()
	return spent
}

func main() {
	runtime.GOMAXPROCS(1)
	workloads := []workload{{"yield_1", yieldAmong(1), 1000}, {"yield_100", yieldAmong(100), 1000},
		{"yield_10000", yieldAmong(10000), 100000}, {"ping_pong", pingPong, 1000}, {"spawn_join", spawnJoin, 1000},
		{"spawn_many", spawnMany, 1000}, {"sleep", sleeps, 10000}, {"timer_cancel", timers, 100000},
		{"wake", wake, 1000}}
	if len(os.Args) < 2 {
		fmt.Println("version", runtime.Version()[2:])
		for _, each := range workloads {
			fmt.Println(each.name)
		}
		return
	}
	for _, each := range workloads {
		if each.name != os.Args[1] {
			continue
		}
		for count := each.countMin; ; count *= 4 {
			begin := time.Now()
			spent := each.run(count)
			if time.Since(begin) >= 60*time.Millisecond {
				fmt.Printf("%.3f\n", spent/float64(count))
				return
			}
		}
	}
	os.Exit(2)
}
