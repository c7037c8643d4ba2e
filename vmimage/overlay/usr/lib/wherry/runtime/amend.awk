# Adds to the environment of a process in an OCI config.json, or in the process.json of an exec, and mounts a file.
# given: file of JSON texts, "NAME=value", one a line; authorities: file to mount at PLACE, "mounted", or "": then no
# variable names PLACE.
# The input is compact JSON as Go writes it, so "env":[ and "mounts":[ cannot stand inside of a text, where quotes are
# escaped. Ends with 1 and prints nothing of use where it does not understand the input.

BEGIN {
    PLACE = "/dev/.wherry/authorities.crt"
    # A variable that names one of these says what is so without it; what is mounted contains that.
    split("/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-bundle.crt /etc/pki/tls/certs/ca-bundle.crt " \
        "/etc/pki/tls/cert.pem /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/ca-bundle.pem " \
        "/etc/ssl/cert.pem /var/lib/ca-certificates/ca-bundle.pem", places, " ")
    for (i in places)
        usual[places[i]] = 1
    while ((getline line < given) > 0)
        if (authorities != "" || !is_of_authorities(line))
            wanted[++count] = line
}

{ text = text $0 "\n" }

END {
    amended = environment(text)
    if (amended == "")
        exit 1
    if (substr(authorities, 1, 1) == "/") {
        amended = mount(amended)
        if (amended == "")
            exit 1
    }
    printf "%s", amended
}

# The name in "NAME=value", alike whether it is written in upper or lower case: HTTP_PROXY sets http_proxy, too.
function name_of(entry) {
    sub(/^"/, "", entry)
    sub(/=.*/, "", entry)
    return tolower(entry)
}

function is_usual(entry) {
    sub(/^"[^=]*=/, "", entry)
    sub(/"$/, "", entry)
    return entry in usual
}

function is_of_authorities(entry) {
    return index(entry, "=" PLACE "\"") > 0
}

function environment(json,    mark, at, rest, entry, kept, ours, i, name) {
    mark = "\"env\":["
    at = index(json, mark)
    if (!at)
        return ""
    at += length(mark)
    rest = substr(json, at)
    for (i = 1; i <= count; i++)
        if (is_of_authorities(wanted[i]))
            ours[name_of(wanted[i])] = 1
    while (match(rest, /^"([^"\\]|\\.)*",?/)) {
        entry = substr(rest, 1, RLENGTH)
        rest = substr(rest, RLENGTH + 1)
        sub(/,$/, "", entry)
        name = name_of(entry)
        if ((name in ours) && is_usual(entry))
            continue
        has[name] = 1
        kept = kept (kept == "" ? "" : ",") entry
    }
    if (substr(rest, 1, 1) != "]")
        return ""
    for (i = 1; i <= count; i++)
        if (!(name_of(wanted[i]) in has))
            kept = kept (kept == "" ? "" : ",") wanted[i]
    return substr(json, 1, at - 1) kept rest
}

# At the end of the mounts: /dev, a tmpfs, has to be there before, so that nothing of it is left in the image.
function mount(json,    mark, at, rest, depth, done, first) {
    mark = "\"mounts\":["
    at = index(json, mark)
    if (!at)
        return ""
    done = at + length(mark)
    rest = substr(json, done)
    depth = 1
    while (match(rest, /[]["{}]/)) {
        first = substr(rest, RSTART, 1)
        done += RSTART
        rest = substr(rest, RSTART + 1)
        if (first == "\"") {
            if (!match(rest, /^([^"\\]|\\.)*"/))
                return ""
            done += RLENGTH
            rest = substr(rest, RLENGTH + 1)
        } else if (first == "[" || first == "{")
            depth++
        else if (--depth == 0)
            return substr(json, 1, done - 2) (substr(json, done - 2, 1) == "[" ? "" : ",") \
                "{\"destination\":\"" PLACE "\",\"type\":\"bind\",\"source\":\"" authorities \
                "\",\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\",\"noexec\"]}" substr(json, done - 1)
    }
    return ""
}
