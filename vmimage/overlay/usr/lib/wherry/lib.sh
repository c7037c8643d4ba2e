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
