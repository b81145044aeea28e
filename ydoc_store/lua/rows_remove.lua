-- Rows of a document, before they are taken out of the index.
for first = 3, #ARGV, 1000 do
  redis.call('SREM', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
