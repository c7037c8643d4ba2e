# Shared by every script here.  Sourced; needs /proc and /run.
# Forking costs 5-10 ms on an emulated CPU, so what the shell can do itself it does itself.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
state=/run/wherry
logs=/data/log
config=/sys/firmware/qemu_fw_cfg/by_name/opt/io.wherry

# uptime: sets $now to the seconds since the kernel started, with hundredths.
uptime() {
    read -r now _ </proc/uptime
}

# pause SECONDS: sleeps without a process.  Nobody ever writes to this pipe.
pause() {
    read -r -t "$1" _ <>"$state/never"
}

# emit LINE: queues a line for the host.  Never blocks, whether or not the host listens.
emit() {
    echo "$*" >>"$state/events"
    echo 1<>"$state/wake"
}

# stage NAME: tells the host that NAME is reached, and remembers it for a host that comes later.
stage() {
    uptime
    echo "stage $1 $now" >"$state/stage/$1"
    emit "stage $1 $now"
}

# problem CODE TEXT: something that a person must know.  It stays until `solved CODE`.
problem() {
    text=$(echo "$*" | tr -s '\n\r\t' '   ' | cut -c 1-1500) # one line on the wire
    echo "problem $text" >"$state/problem/$1"
    emit "problem $text"
}

solved() {
    [ -e "$state/problem/$1" ] || return 0
    rm -f "$state/problem/$1"
    emit "solved $1"
}

# fw NAME: sets $fw to the path of what the host gave under that name; false if it gave nothing.
fw() {
    fw=$config/$1/raw
    [ -e "$fw" ]
}

# network_settings: sets $address, $gateway, $nameserver and $ipv6 to what the host says of the network to it.
network_settings() {
    address=10.0.2.15 gateway=10.0.2.2 nameserver=10.0.2.3 ipv6=0
    fw network || return 0
    while IFS='=' read -r key value; do
        case $key in
        address) address=$value ;;
        gateway) gateway=$value ;;
        nameserver) nameserver=$value ;;
        ipv6) ipv6=$value ;;
        esac
    done <"$fw"
}

# recorded: sets $running to the number of containers that run by dockerd's own record, and $patience to the seconds
# after which one of them must have ended: the longest stop timeout (docker's default is 10 s, none counts as 90 s, and
# 300 s is the most), and 20 s for the engine itself.
recorded() {
    running=0 patience=10
    for file in $(grep -ls '"Running":true' /var/lib/docker/containers/*/config.v2.json); do
        running=$((running + 1))
        grace=$(grep -o '"StopTimeout":-\?[0-9]\{1,6\}' "$file") || continue
        grace=${grace##*:}
        [ "$grace" -lt 0 ] && grace=90
        [ "$grace" -gt 300 ] && grace=300
        [ "$grace" -gt $patience ] && patience=$grace
    done
    patience=$((patience + 20))
}

# end_engine PID: asks dockerd to end, and waits for as long as one of its containers ends now and then. Before dockerd
# has recorded the end of all, killing it would leave containers that have "exited (255)". The host is told how many are
# left, and how long the next may take.
end_engine() {
    recorded
    emit "stopping $running $patience"
    kill -TERM "$1" 2>/dev/null
    kill -CONT "$1" 2>/dev/null
    before=$running tries=0
    while kill -0 "$1" 2>/dev/null && [ $tries -lt $((patience * 10)) ]; do
        pause 0.1
        tries=$((tries + 1))
        [ $before -gt 0 ] && [ $((tries % 20)) = 0 ] || continue
        recorded
        [ $running = $before ] && continue
        before=$running tries=0
        emit "stopping $running $patience"
    done
    [ $before = 0 ] && return
    recorded
    emit "stopping $running 0"
}

# wait_for PATH: returns once PATH exists.
wait_for() {
    while [ ! -e "$1" ]; do
        pause 0.02
    done
}

# bound FILE BYTES: keeps a log file below a size by moving its end aside.
bound() {
    [ -f "$1" ] || return 0
    size=$(stat -c %s "$1")
    if [ "${size:-0}" -gt "$2" ]; then
        tail -c 1000000 "$1" >"$1.1"
        : >"$1"
    fi
}
