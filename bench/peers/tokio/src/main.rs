//! tokio, its single-threaded runtime with a LocalSet; two of them where threads wake each other. See peer.h for what a peer prints.
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now, LocalSet};

// The time that this process has kept a processor busy, as the kernel counts it.
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn since(begin: Instant) -> f64 {
    begin.elapsed().as_nanos() as f64
}

// async, and boxed by nobody: what a call of an async function costs.
#[inline(never)]
async fn child(value: u64) -> u64 {
    value
}

async fn children(count: u64) -> f64 {
    let begin = Instant::now();
    let mut sum = 0;
    for _ in 0..count {
        sum += std::hint::black_box(child(std::hint::black_box(1))).await;
    }
    assert_eq!(sum, count);
    since(begin)
}

async fn yield_among(tasks: u64, count: u64) -> f64 {
    let begin = Instant::now();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            spawn_local(async move {
                for _ in 0..count / tasks {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    since(begin)
}

async fn ping_pong(count: u64) -> f64 {
    let (there, mut there_receiver) = mpsc::channel(1);
    let (back, mut back_receiver) = mpsc::channel(1);
    spawn_local(async move {
        while let Some(value) = there_receiver.recv().await {
            back.send(value).await.unwrap();
        }
    });
    let begin = Instant::now();
    for _ in 0..count {
        there.send(1).await.unwrap();
        back_receiver.recv().await.unwrap();
    }
    since(begin)
}

async fn spawn_join(count: u64) -> f64 {
    let begin = Instant::now();
    let mut sum = 0;
    for _ in 0..count {
        sum += spawn_local(child(1)).await.unwrap();
    }
    assert_eq!(sum, count);
    since(begin)
}

async fn spawn_many(count: u64) -> f64 {
    let begin = Instant::now();
    let mut all = Vec::with_capacity(1000);
    for _ in 0..count / 1000 {
        all.extend((0..1000).map(|_| spawn_local(child(1))));
        for task in all.drain(..) {
            task.await.unwrap();
        }
    }
    since(begin)
}

async fn sleeps(count: u64) -> f64 {
    let before = cpu_ns();
    for _ in 0..count / 10_000 {
        let all: Vec<_> = (0..10_000u64)
            .map(|i| spawn_local(tokio::time::sleep(Duration::from_micros(1 + i * 7919 % 20_000))))
            .collect();
        for task in all {
            task.await.unwrap();
        }
    }
    cpu_ns() - before
}

async fn timers(count: u64) -> f64 {
    let waker = std::task::Waker::from(std::sync::Arc::new(Nobody));
    let mut context = std::task::Context::from_waker(&waker);
    let begin = Instant::now();
    for _ in 0..count / 100_000 {
        let mut all: Vec<_> = (0..100_000u64)
            .map(|i| Box::pin(tokio::time::sleep(Duration::from_millis(1000 + i * 7919 % 59_000))))
            .collect();
        for timer in all.iter_mut() {
            let _ = std::future::Future::poll(timer.as_mut(), &mut context); // arms it
        }
        drop(all);
    }
    since(begin)
}

// The other thread has a runtime of its own; both have tokio's poller.
async fn wake(count: u64) -> f64 {
    let (there, mut there_receiver) = mpsc::unbounded_channel();
    let (back, mut back_receiver) = mpsc::unbounded_channel();
    let other = std::thread::spawn(move || {
        runtime().block_on(async move {
            while let Some(value) = there_receiver.recv().await {
                back.send(value).unwrap();
            }
        })
    });
    let begin = Instant::now();
    for _ in 0..count {
        there.send(1).unwrap();
        back_receiver.recv().await.unwrap();
    }
    let spent = since(begin);
    drop(there);
    other.join().unwrap();
    spent
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

struct Nobody;
impl std::task::Wake for Nobody {
    fn wake(self: std::sync::Arc<Self>) {}
}

const WORKLOADS: [(&str, u64); 10] = [
    ("child", 1000),
    ("yield_1", 1000),
    ("yield_100", 1000),
    ("yield_10000", 100_000),
    ("ping_pong", 1000),
    ("spawn_join", 1000),
    ("spawn_many", 1000),
    ("sleep", 10_000),
    ("timer_cancel", 100_000),
    ("wake", 1000),
];

async fn run(name: &str, count: u64) -> f64 {
    match name {
        "child" => children(count).await,
        "yield_1" => yield_among(1, count).await,
        "yield_100" => yield_among(100, count).await,
        "yield_10000" => yield_among(10_000, count).await,
        "ping_pong" => ping_pong(count).await,
        "spawn_join" => spawn_join(count).await,
        "spawn_many" => spawn_many(count).await,
        "sleep" => sleeps(count).await,
        "timer_cancel" => timers(count).await,
        "wake" => wake(count).await,
        _ => std::process::exit(2),
    }
}

fn main() {
    let Some(name) = std::env::args().nth(1) else {
        println!("version {}", option_env!("TOKIO_VERSION").unwrap_or("1"));
        for (name, _) in WORKLOADS {
            println!("{name}");
        }
        return;
    };
    let runtime = if name == "wake" {
        runtime()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    };
    let mut count = WORKLOADS.iter().find(|(known, _)| *known == name).map_or(1, |(_, count)| *count);
    loop {
        let begin = Instant::now();
        let spent = LocalSet::new().block_on(&runtime, run(&name, count));
        if begin.elapsed() >= Duration::from_millis(60) {
            println!("{:.3}", spent / count as f64);
            return;
        }
        count *= 4;
    }
}
