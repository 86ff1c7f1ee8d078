-- Takes batches of hits, in order, each seeing those before it. A batch is what one request asks for.
--
-- KEYS       the counters of all batches: the states of a rule's limits for one client key, as src/limit/encoding.rs
--            writes them
-- ARGV[1]    whose clock it is: 0 this server's, 1 the caller's; then the milliseconds a counter is kept after its end
-- ARGV[1+i]  batch i, as src/store/redis/script.rs writes it
--
-- Gives back this server's time in microseconds, the error of the first write that failed or false, and for each counter
-- what its batch found: the states as bytes, false where nothing is counted, or 0 where it could not be counted.
--
-- Everything here does what src/limit/ and src/store/batch.rs do, to the microsecond: all numbers are whole and below
-- 2^53. The caller reports the counter: it steps from the states found here in the same way as this script.

local LOOK, HITS, REFUND, GIVE_BACK, SETTLE = 0, 1, 2, 3, 4
local DECIDES, QUOTA = 0, 1
local WHOLE, WITHOUT_SLOTS, ONLY_ALWAYS = 0, 1, 2
local FIXED_WINDOW, TOKEN_BUCKET, CONCURRENCY = 1, 3, 4
local MAX_COUNT = 2 ^ 52
local AHEAD = 1000000
local SLOTS = 16

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local pack, unpack_from = struct.pack, struct.unpack

local by_caller, kept = unpack_from('<BI8', ARGV[1])
local time = redis.call('TIME')
local server_now = time[1] * 1000000 + time[2]

local failure = false
local found = {}

-- The batch to be taken next, and how many counters were before it.
local next_batch, first = 2, 0

local function moment(callers)
    if by_caller == 1 then
        return min(callers, server_now + AHEAD)
    end
    return server_now
end

-- What is settled with a state: what was counted apart from it, from `base` to `own`, where `amount` says how much each
-- is. A state that may have been lost is at least `base` again.
local function sum(state, apart, amount)
    local theirs, base = amount(state), amount(apart.base)
    if apart.restores then
        theirs = max(theirs, base)
    end
    return max(theirs + amount(apart.own) - base, 0)
end

local function failed(reply)
    failure = failure or reply.err
    return 0
end
