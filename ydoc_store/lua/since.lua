-- {'ok', {entry…}} after (epoch, sequence), or why there is no such position.
local epoch, sequence = ARGV[3], ARGV[4]
local log = open_log(KEYS[1])
return lacks(log, epoch, sequence) or {'ok', entries(log, sequence)}
