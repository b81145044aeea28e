-- Somebody has these logs open.
local moment = now()
for _, key in ipairs(KEYS) do
  local log = open_log(key)
  if log.header then redis.call('LSET', key, HEADER, at_time(log.header, USED, moment)) end
end
