//! tokio, its single-threaded runtime: `tokio_server echo`, `http` or `udp`. Prints its port.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 16384];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

// The end of the first request, if it is all there, whether it is one that is served, and whether another may follow.
fn first_request(bytes: &[u8]) -> Option<(usize, bool, bool)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let mut lines = bytes[..end - 4].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next()?;
    let (mut served, mut more) = (first.starts_with(b"GET "), first.ends_with(b" HTTP/1.1"));
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let name = &line[..colon];
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding") {
            served = false;
        }
        if name.eq_ignore_ascii_case(b"connection") && line.to_ascii_lowercase().ends_with(b"close") {
            more = false;
        }
    }
    Some((end, served, served && more))
}

async fn answer_pages(mut stream: TcpStream) -> std::io::Result<()> {
    let mut received = Vec::with_capacity(16384);
    let mut answers = Vec::new();
    loop {
        if stream.read_buf(&mut received).await? == 0 || received.len() > 32768 {
            return Ok(());
        }
        let (mut done, mut goes_on) = (0, true);
        while goes_on {
            let Some((size, served, more)) = first_request(&received[done..]) else { break };
            done += size;
            goes_on = more;
            if served {
                answers.extend_from_slice(PAGE);
            }
        }
        received.drain(..done);
        // Answers to requests that came together leave together.
        stream.write_all(&answers).await?;
        answers.clear();
        if !goes_on {
            return Ok(());
        }
    }
}

async fn serve_udp() -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    println!("{}", socket.local_addr()?.port());
    let mut buffer = vec![0; 2048];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).await?;
        let _ = socket.send_to(&buffer[..count], from).await;
    }
}

async fn serve(kind: String) -> std::io::Result<()> {
    if kind == "udp" {
        return serve_udp().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if kind == "http" {
            tokio::spawn(answer_pages(stream));
        } else {
            tokio::spawn(echo(stream));
        }
    }
}

fn main() -> std::io::Result<()> {
    let Some(kind) = std::env::args().nth(1) else {
        println!("version {}", option_env!("TOKIO_VERSION").unwrap_or("1"));
        return Ok(());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(kind))
}
