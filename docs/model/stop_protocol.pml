/* Copyright 2026 The viam_session_bridge authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Commands and stops of one base between core, base control and machine, for two clients.
 * README.md next to this file says what stands for what; `check` runs it.
 *
 * Every step below is one feed of the bridge with its drain (or one step of the machine), and
 * atomic. There is no time: what is due after a pause may happen at any later moment, a deadline
 * passes whenever Spin likes, and a Stop may run for ever so long.
 *
 *   LOST      how many commands may be unanswered at once
 *   LIVE      the liveness properties in place of the invariants
 *   HANGS     with LIVE: a Stop that is sent beside a command hangs, and has no deadline
 *   MUT_...   a mutation, which must be caught
 *   SEE_...   a witness: a situation that must be reachable
 */

#ifndef LOST
#define LOST 2
#endif

#define NOBODY 0
#define A 1
#define B 2

/* Causes of stops (core/actions.py: Cause) */
#define LAPSE 1
#define REFUSED 2
#define FAILED 3
#define NO_SESSION 4
#define EXPIRED 5
#define OLDER 6
#define STILL_MOVING 7 /* and STANDING */
#define ZERO 8

#define IS_COVERED(cause) (cause == REFUSED || cause == NO_SESSION || cause == ZERO)
#define IS_R10(cause) (IS_COVERED(cause) || cause == FAILED || cause == OLDER)

/* The zero velocity of a stop: after the first error it is due, once (R7). */
#define FRESH 0
#define DUE 1
#define SPENT 2

/* ---- The core: sessions and the last user ---- */

byte commander;        /* who commanded last ... */
bit lives;             /* ... and whether its session lives, which then is the last user */

/* ---- Base control ---- */

bit sid;               /* the commander's session has a machine session */
byte waiting;          /* whose command waits */
bit waiting_zero;      /* it is a zero */
bit waiting_again;     /* it is sent for the second time (R13) */
byte flying;           /* whose command is in flight */
bit flying_zero;
bit flying_again;
byte last_sid;         /* whose machine session the newest command went under, if still known */
bit commanded;         /* since the last final stop */
bit beside_lost;       /* the newest command was sent beside an unanswered one (R10) ... */
bit doubtful;          /* ... which can run no more: the base is stopped a window later */
bit stopping;
bit handed_over;       /* a Stop was sent for this stop */
bit acknowledged;      /* one that was sent after the last failure ... */
bit motion_after_ack;  /* ... for which motion waits (R10) */
byte zero;             /* FRESH, DUE, SPENT */
bit due;               /* a Stop is due as soon as none is open */
bit pausing;           /* after an error or a cancellation */
bit unclean_counts;    /* the unclean Stop that is open was sent after the last failure (R10) */

/* ---- Calls in flight. A Stop is *clean* if every earlier command was answered, or counted as
 *      answered, when it was sent. Counts, so that mutations may send more than one. ---- */

bit arrived;           /* the command in flight is at the base ... */
bit ran;               /* ... and took effect */
byte unclean_way;      /* on the way */
byte unclean_runs;     /* its handler runs */
byte unclean_ran;      /* ... and took effect */
byte unclean_cut;      /* ... or was cancelled by a call that came later */
byte clean_way, clean_runs, clean_ran, clean_cut;
byte zeros_way, zeros_came;

/* ---- Commands that got no answer, or CANCELLED, by what the bridge knows and what the machine
 *      does: it is on the way or waits for the lock, runs, or is gone (ran or never will) ---- */

byte lost_waits, lost_runs, lost_gone; /* no probe was answered */
byte lost_zeros;                       /* ... zeros on the way, which harm nobody but a Stop */
byte probed_runs, probed_gone;         /* a probe sent past the deadline was answered */
#if defined(MUT_SETTLED_BY_PROBE_ALONE) || defined(MUT_CANCELLED_IS_ANSWERED)
byte forgotten;
#endif

#ifdef MUT_FINAL_STOP_FORGOTTEN
bit answered_now;      /* within a step */
#endif

#define ALL_LOST (lost_waits + lost_zeros + lost_runs + lost_gone + probed_runs + probed_gone)
#define MAY_ACT_LATE (lost_waits + lost_runs + probed_runs)
#define UNCLEAN (unclean_way + unclean_runs + unclean_ran + unclean_cut)
#define CLEAN (clean_way + clean_runs + clean_ran + clean_cut)
#define OPEN (UNCLEAN + CLEAN)
#define RUN (unclean_runs + unclean_ran + clean_runs + clean_ran)
#define ZEROS (zeros_way + zeros_came)
#define ALL_ANSWERED (flying == NOBODY && ZEROS == 0 && ALL_LOST == 0)

/* ---- The base, and what the invariants remember ---- */

bit moving;
bit quiet;             /* R7: a stop was final, and no command was handed over since */
bit needs_ack;         /* R10: motion needs the acknowledgement of a Stop that was sent later */
bit wants_rest;        /* R10: within a step: a zero is a stop */
bit stopped_since;     /* R13: a stop was decided since the newest command was handed over */
bit acked_since;       /* a Stop was acknowledged that was sent after the newest command */
bit taken;             /* R9: a command was accepted after the stop was decided */
bit owed;              /* a stop was decided, or an older command acted last: neither is a stop
                        * final since nor has the base a newer command */

/* The liveness is judged by itself: no invariant may find a mutation in its place, and what only
 * the one asks for is no state of the other. */
#ifdef LIVE
bit healed;            /* from now on the machine answers Stops with OK, others leave the base */
#define FAULTY (!healed)
#define MUST(condition) skip
#define IF_SAFE(note) skip
#define IF_LIVE(note) note
#else
#define FAULTY true
#define MUST(condition) assert(condition)
#define IF_SAFE(note) note
#define IF_LIVE(note) skip
#endif

#ifdef HANGS
#define ANSWERS false
#else
#define ANSWERS true
#endif

#if defined(LIVE) && !defined(HANGS)
#define IF_MOVES(note) skip
#else
#define IF_MOVES(note) note
#endif

/* A witness is reached: that is what is wanted of it. */
#define WITNESS assert(false)

#ifdef SEE_CUT_COMMAND_SETTLED
bit cut_by_us;         /* the newest command */
#endif

byte chosen;           /* within a step */

/* ================ Base control ================ */

inline drop_waiting()
{
  waiting = NOBODY; waiting_zero = 0; waiting_again = 0
}

inline decide_stop(cause, client)
{
  if
  :: (cause == REFUSED || cause == ZERO) && !commanded -> /* nothing to stop */
    MUST(!moving && waiting == NOBODY && flying == NOBODY && MAY_ACT_LATE == 0) /* R10 */
  :: else ->
    beside_lost = 0; doubtful = 0;
    IF_SAFE(stopped_since = 1);
    if
    :: cause == FAILED
    :: cause == EXPIRED && waiting != NOBODY && waiting != client
    :: else -> drop_waiting()
    fi;
    if
    :: !stopping ->
      stopping = 1; due = 1; motion_after_ack = IS_R10(cause); unclean_counts = 0;
      IF_SAFE(taken = cause == LAPSE && client != commander)
    :: else ->
      motion_after_ack = motion_after_ack || IS_R10(cause);
      if /* An open Stop covers every further reason, a stop under way those that leave the base
          * as it was; but a zero is the wish to stand now. */
      :: !IS_COVERED(cause) && OPEN == 0 -> due = 1; acknowledged = 0
#ifndef MUT_ZERO_COVERED
      :: cause == ZERO && OPEN == 0 && !pausing -> due = 1
#endif
#ifdef MUT_SECOND_STOP
      :: !IS_COVERED(cause) && OPEN > 0 -> due = 1
#endif
      :: else
      fi
    fi;
    if
    :: IS_R10(cause) && !acked_since -> IF_SAFE(needs_ack = 1)
    :: else
    fi;
    IF_LIVE(owed = waiting == NOBODY)
  fi
}

inline forget_stop()
{
  stopping = 0; handed_over = 0; acknowledged = 0; motion_after_ack = 0; zero = FRESH; due = 0;
  pausing = 0; IF_SAFE(taken = 0)
}

inline forward(client, zero_velocity)
{
  waiting = client; waiting_zero = zero_velocity; waiting_again = 0; commanded = 1;
  IF_LIVE(owed = 0);
  if
  :: stopping && !handed_over && !motion_after_ack ->
#ifdef MUT_STOP_NOT_WITHDRAWN
    IF_SAFE(taken = 1)
#else
#ifdef SEE_STOP_WITHDRAWN
    WITNESS;
#endif
    forget_stop()
#endif
  :: else
  fi
}

#ifdef MUT_ACK_NOT_AWAITED
#define NEEDS_ACK false
#else
#define NEEDS_ACK (stopping && motion_after_ack && !acknowledged)
#endif
#ifdef MUT_COMMAND_BESIDE_STOP
#define HELD_BY_STOP NEEDS_ACK
#else
#define HELD_BY_STOP (OPEN > 0 || NEEDS_ACK)
#endif
#ifdef MUT_ZERO_NOT_AWAITED
#define ZEROS_HOLD false
#else
#define ZEROS_HOLD (ZEROS > 0)
#endif
#ifdef MUT_TWO_COMMANDS
#define COMMAND_HOLDS false
#else
#define COMMAND_HOLDS (flying != NOBODY)
#endif

#define SENDABLE (waiting != NOBODY && !COMMAND_HOLDS && !ZEROS_HOLD && !HELD_BY_STOP)

#if defined(MUT_FINAL_DESPITE_UNANSWERED)
#define SENT_CLEAN (flying == NOBODY && ZEROS == 0)
#elif defined(MUT_FINAL_BESIDE_COMMAND)
#define SENT_CLEAN (ZEROS == 0 && ALL_LOST == 0)
#else
#define SENT_CLEAN ALL_ANSWERED
#endif

/* Beside an open Stop nothing goes out but one more, once all is answered that it was beside; also
 * where a command waits for nothing but the open one, which may hang. */
#if defined(MUT_FINAL_STOP_NOT_SENT)
#define FINAL_STOP_DUE false
#elif defined(MUT_FINAL_STOP_FORGOTTEN)
#define FINAL_STOP_DUE (ALL_ANSWERED && answered_now)
#else
#define FINAL_STOP_DUE ALL_ANSWERED
#endif
#ifdef MUT_FAILURE_COVERED
#define ACK_WANTED (NEEDS_ACK && waiting != NOBODY)
#else
#define ACK_WANTED NEEDS_ACK
#endif
#define ALONE (OPEN == 0 && (due || !pausing && (FINAL_STOP_DUE || ACK_WANTED)))
#ifdef MUT_TAKEOVER_HOLDS_FINAL_STOP
#define TAKEOVER_HOLDS (waiting != NOBODY && !NEEDS_ACK)
#else
#define TAKEOVER_HOLDS false
#endif
#define ONE_MORE (UNCLEAN > 0 && CLEAN == 0 && !pausing && FINAL_STOP_DUE && !TAKEOVER_HOLDS)
#if defined(MUT_STOP_WAITS_FOR_COMMAND)
#define STOP_GOES (flying == NOBODY && (ALONE || ONE_MORE))
#elif defined(MUT_SECOND_STOP) || defined(MUT_STOP_REPEATED_WHILE_OPEN)
#define STOP_GOES (due && OPEN < 2 || ALONE || ONE_MORE)
#else
#define STOP_GOES (ALONE || ONE_MORE)
#endif
#ifdef MUT_STOP_BESIDE_ZERO
#define ZEROS_HOLD_STOP false
#else
#define ZEROS_HOLD_STOP (ZEROS > 0)
#endif
#ifdef MUT_ZERO_BESIDE_STOP
#define STOPS_HOLD_ZERO false
#else
#define STOPS_HOLD_ZERO (OPEN > 0)
#endif

/* A command that was not sent fails: the channel, StartSession, its age where the machine was to
 * blame for it (R10, R14, R15). */
inline fail_waiting(cause)
{
  chosen = waiting;
  drop_waiting();
  decide_stop(cause, chosen)
}

/* It waited a window for a Stop of ours (R14). */
inline drop_held()
{
  drop_waiting();
  IF_LIVE(owed = stopping)
}

inline hand_over_command()
{
  MUST(flying == NOBODY);            /* R9, R14: at most one command in flight */
  MUST(!needs_ack);                  /* R10 */
  MUST(commander == waiting);        /* R13, R14: never one that is not the newest ... */
  MUST(lives);                       /* R13: ... nor of a session that ended ... */
  MUST(!waiting_again || !stopped_since); /* R13: ... nor again where a newer one was refused */
  MUST(OPEN + ZEROS == 0);           /* R9: a Stop or zero answered later may act later */
#ifdef SEE_SENT_AGAIN
  if :: waiting_again -> WITNESS :: else fi;
#endif
  flying = waiting; flying_zero = waiting_zero; flying_again = waiting_again;
  arrived = 0; ran = 0;
  drop_waiting();
  beside_lost = ALL_LOST > 0; doubtful = 0;
  last_sid = flying; IF_SAFE(quiet = 0); IF_SAFE(acked_since = 0);
  IF_SAFE(stopped_since = 0);
#ifdef SEE_CUT_COMMAND_SETTLED
  cut_by_us = 0;
#endif
  forget_stop()
}

inline hand_over_zero()
{
  if
  :: stopping && zero == DUE && !STOPS_HOLD_ZERO ->
    zero = SPENT;
    if
    :: last_sid != NOBODY -> zeros_way++
    :: else                          /* no valid machine session */
    fi
  :: else
  fi
}

inline hand_over_stop()
{
  if
  :: stopping && !ZEROS_HOLD_STOP && STOP_GOES ->
    MUST(!taken);                    /* R9: a lapse's stop is withdrawn by a newer command */
    MUST(!SENDABLE || !sid);         /* R9: nor is it repeated once a command can go out */
    MUST(ZEROS == 0);                /* R7: a Stop waits for the zero */
    MUST(OPEN == 0 || CLEAN == 0 && UNCLEAN == 1 && ALL_ANSWERED); /* R7: the one more */
#ifdef SEE_ONE_MORE
    if :: OPEN > 0 -> WITNESS :: else fi;
#endif
    if
    :: SENT_CLEAN -> clean_way++
    :: else -> unclean_counts = 1; unclean_way++
    fi;
    handed_over = 1; due = 0; pausing = 0
  :: else
  fi
}

inline drain()
{
#ifndef MUT_ZERO_BESIDE_UNANSWERED
  if /* a zero is a stop while a command is unanswered (R10) */
  :: ALL_LOST > 0 && waiting_zero -> decide_stop(ZERO, waiting); IF_SAFE(wants_rest = commanded)
  :: else
  fi;
#endif
  if
  :: SENDABLE && waiting == commander && !lives ->
    fail_waiting(NO_SESSION);
    hand_over_zero(); hand_over_stop()
#ifdef MUT_REPEATED_DESPITE_TAKEOVER
  :: SENDABLE && (waiting != commander || sid) && !(stopping && ALONE) -> hand_over_command()
#else
  :: SENDABLE && (waiting != commander || sid) -> hand_over_command()
#endif
  :: else -> hand_over_zero(); hand_over_stop() /* or a StartSession: see bridge() */
  fi;
  chosen = NOBODY;
  MUST(!wants_rest || OPEN + ZEROS > 0 || pausing); /* R10: every zero is a stop */
  IF_SAFE(wants_rest = 0);
#ifdef MUT_FINAL_STOP_FORGOTTEN
  answered_now = 0;
#endif
  MUST(!due || OPEN + ZEROS > 0);    /* R7: at once, whatever else is in flight */
  MUST(!stopping || handed_over || OPEN + ZEROS > 0);     /* R7 */
  MUST(!needs_ack || stopping);      /* R10: a failed command's base is being stopped ... */
  MUST(!needs_ack || OPEN + ZEROS > 0 || pausing); /* R10: ... by a Stop that is sent since */
  MUST(lives || stopping || quiet || commander == NOBODY); /* R6, R7: and a lapsed one's */
  MUST(OPEN <= 2)                    /* R7 */
}

/* A Stop was acknowledged that was sent after the last failure. */
inline stop_acknowledged()
{
  acknowledged = stopping; IF_SAFE(needs_ack = 0); IF_SAFE(acked_since = 1)
}

inline stop_failed()
{
  pausing = stopping;
  if
  :: stopping && zero == FRESH -> zero = DUE
  :: else
  fi
}

/* A Stop that is open still is superseded: the next command waits for it (R9), and what it says
 * counts for nothing. */
inline final()
{
  MUST(!moving);                                                  /* R7 */
  MUST(flying == NOBODY || ran);                                  /* R7 */
  MUST(MAY_ACT_LATE == 0);                                        /* R7 */
#ifdef SEE_TAKEOVER_AWAITS_SUPERSEDED
  if :: OPEN > 0 && waiting != NOBODY -> WITNESS :: else fi;
#endif
#ifdef SEE_CUT_COMMAND_SETTLED
  if :: cut_by_us -> WITNESS :: else fi;
#endif
  forget_stop();
  commanded = waiting != NOBODY; IF_LIVE(owed = 0); IF_SAFE(quiet = 1)
}

/* A command was answered, or counts as answered: the final Stop of a stop whose Stops were all
 * sent before goes out at once, whatever pause it was in. */
inline commands_answered()
{
  if
  :: stopping && ALL_ANSWERED ->
    pausing = 0;
#ifdef MUT_FINAL_STOP_FORGOTTEN
    answered_now = 1
#endif
  :: else
  fi
}

inline flying_ends()
{
  flying = NOBODY; flying_zero = 0; flying_again = 0; arrived = 0; ran = 0
}

/* The command in flight failed, for no doing of ours. */
inline command_failed()
{
  chosen = flying;
  flying_ends();
#ifndef MUT_FAILURE_WITHOUT_STOP
  decide_stop(FAILED, chosen);
  acknowledged = 0; unclean_counts = 0;
#endif
  IF_SAFE(needs_ack = 1);
  commands_answered()
}

/* ... or was cancelled by the Stop, or the zero, that we sent beside it: no new failure. The stop
 * of R10 is the one under way. */
inline command_cut_by_us()
{
  flying_ends();
#ifdef SEE_CUT_COMMAND_SETTLED
  cut_by_us = 1;
#endif
#ifndef MUT_CANCELLED_NEEDS_NO_ACK
  motion_after_ack = 1;
#endif
  IF_SAFE(needs_ack = !acknowledged);
  commands_answered()
}

/* ================ The machine ================ */

/* A call comes to the base: handlers that heed it are cancelled (viam-server's operation manager),
 * with or without effect before. What becomes of a command so cancelled may happen to it at any
 * moment here (another client's call): see `command in flight`. */
inline cut_short()
{
  unclean_cut = unclean_cut + unclean_runs + unclean_ran; unclean_runs = 0; unclean_ran = 0;
  clean_cut = clean_cut + clean_runs + clean_ran; clean_runs = 0; clean_ran = 0
}

inline unclean_ends()
{
  if
  :: unclean_way > 0 -> unclean_way--
  :: unclean_way == 0 && unclean_runs > 0 -> unclean_runs--
  :: unclean_way + unclean_runs == 0 && unclean_cut > 0 -> unclean_cut--
  :: else -> unclean_ran--
  fi
}

inline clean_ends()
{
  if
  :: clean_way > 0 -> clean_way--
  :: clean_way == 0 && clean_runs > 0 -> clean_runs--
  :: clean_way + clean_runs == 0 && clean_cut > 0 -> clean_cut--
  :: else -> clean_ran--
  fi
}

/* An unanswered command takes effect. */
inline acts_late()
{
  IF_MOVES(moving = 1);
  MUST(!quiet);                      /* R7 */
  if /* it acts last: a stop is owed (R10) */
  :: waiting == NOBODY && (flying == NOBODY || ran) -> IF_LIVE(owed = 1)
  :: else
  fi
}

/* An unanswered command counts as answered (R7). */
inline settled()
{
  commands_answered();
#ifdef SEE_ONE_MORE_SETTLED
  if :: stopping && ONE_MORE -> WITNESS :: else fi;
#endif
  if
  :: ALL_LOST == 0 && beside_lost && !stopping -> doubtful = 1
  :: else
  fi;
  drain()
}

/* ================ What happens ================
 * One option is one feed of the bridge and its drain, or one step of the machine. */

/* Fairness obliges every process but those that may rest: a step that changes nothing. */
#ifdef LIVE
#define MAY_REST (commander < 3)
#else
#define MAY_REST false
#endif

/* The session of the last user: its lapse, or its publisher left */
inline last_user_ends()
{
  lives = 0; sid = 0;
  decide_stop(LAPSE, commander)
}

/* Another client, and a new session, begin without a machine session here; one that has it already
 * is told from that by nothing but a START that comes at once. */
inline take_command(client, zero_velocity)
{
  if
  :: lives && commander == client
  :: else -> lives = 1; sid = 0; commander = client
  fi;
  forward(client, zero_velocity);
  drain()
}

/* What nothing obliges to happen */
active proctype bridge()
{
end:
  do
    /* Publishers and the graph */
  :: d_step { true -> take_command(A, 0) }
  :: d_step { true -> take_command(A, 1) }
  :: d_step { true -> take_command(B, 0) }
  :: d_step { true -> take_command(B, 1) }
    /* what is due ends first, in the same feed (R2) */
  :: d_step { lives -> last_user_ends(); take_command(A, 0) }
  :: d_step { lives -> last_user_ends(); take_command(B, 0) }
  :: d_step { lives -> last_user_ends(); drain() }
#ifdef MUT_LAPSE_OF_ANYBODY
  :: d_step { lives -> decide_stop(LAPSE, A + B - commander); drain() }
#endif
    /* the client that commanded last is refused, or its zero is, or a zero waits for the command
     * in flight (R10) */
  :: d_step { commander != NOBODY -> decide_stop(REFUSED, commander); drain() }
  :: d_step {
      commander != NOBODY ->
      decide_stop(ZERO, commander); IF_SAFE(wants_rest = commanded);
      drain()
    }
  :: d_step {
      waiting_zero && flying != NOBODY ->
      decide_stop(ZERO, waiting); IF_SAFE(wants_rest = 1);
      drain()
    }

    /* Machine sessions: starts, and ends that a heartbeat or another base's command learns of */
  :: d_step { lives && !sid -> sid = 1; drain() }
  :: d_step { lives && !sid && waiting == commander -> fail_waiting(NO_SESSION); drain() }
  :: d_step { lives && sid && last_sid != commander -> sid = 0 }
  :: d_step { /* SESSION_EXPIRED on a heartbeat, or on another base's command */
      last_sid != NOBODY ->
      if :: last_sid == commander -> sid = 0 :: else fi;
      chosen = last_sid; last_sid = NOBODY;
      if :: commanded -> decide_stop(EXPIRED, chosen) :: else fi;
      drain()
    }
    /* one that rests has lapsed by the bridge's reckoning */
  :: d_step { last_sid != NOBODY && !(lives && last_sid == commander) -> last_sid = NOBODY }

    /* The waiting command: too old, or the channel is down */
  :: d_step { waiting != NOBODY -> fail_waiting(FAILED); drain() }
  :: d_step { waiting != NOBODY && HELD_BY_STOP -> drop_held(); drain() }

    /* IsMoving says yes: while a command is unanswered (R7), after a final stop (R20), or of a
     * base whose commands were zeros (R22) */
  :: d_step { stopping && OPEN + ZEROS == 0 && ALL_LOST > 0 && !pausing -> due = 1; drain() }
  :: d_step {
      commander != NOBODY && waiting == NOBODY && flying == NOBODY ->
      decide_stop(STILL_MOVING, NOBODY);
      drain()
    }

    /* The machine stops the base: a session of its lapsed, another client did it, or a Stop that
     * nobody counts on took effect, or a zero */
  :: d_step { moving -> IF_MOVES(moving = 0) }
#ifdef LIVE
  :: d_step { !healed -> healed = 1 }
#endif
  :: MAY_REST
  od
}

/* Every step of these brings a command, or the zero, nearer to its end: there are only so many
 * without a new one. */
active proctype commands()
{
end:
  do
    /* ---- The command in flight ---- */
  :: d_step { flying != NOBODY && !arrived -> arrived = 1 }
  :: d_step { flying != NOBODY && !arrived && RUN > 0 ->
      arrived = 1;
#ifdef SEE_STOP_CUT_BY_COMMAND
      WITNESS;
#endif
      cut_short()
    }
  :: d_step {
      flying != NOBODY && arrived && !ran ->
      ran = 1; IF_MOVES(moving = !flying_zero);
      MUST(!quiet)                   /* R7 */
    }
  :: d_step { /* OK */
      flying != NOBODY && ran ->
      MUST(!(flying_zero && MAY_ACT_LATE)); /* R10: nothing older lives on */
#ifdef SEE_OLDER_MOTION_ACTS_LAST
      if :: MAY_ACT_LATE -> WITNESS :: else fi;
#endif
      flying_ends();
      commands_answered();
      drain()
    }
  :: d_step { flying != NOBODY -> command_failed(); drain() } /* an error, whether it ran or not */
  :: d_step { /* no answer: TIMED_OUT, CUT; or DEADLINE_EXCEEDED */
      flying != NOBODY && ALL_LOST < LOST ->
      if
      :: arrived && !flying_zero -> lost_runs++
      :: arrived && flying_zero -> lost_gone++
      :: !arrived && !flying_zero -> lost_waits++
      :: else -> lost_zeros++
      fi;
      command_failed();
      drain()
    }
  :: d_step { /* CANCELLED: its handler may run on, in a module */
      flying != NOBODY && arrived && ALL_LOST < LOST ->
#ifdef MUT_CANCELLED_IS_ANSWERED
      if :: !flying_zero && forgotten == 0 -> forgotten++ :: else fi;
#else
      if :: flying_zero -> lost_gone++ :: else -> lost_runs++ fi;
#endif
      if
      :: handed_over -> command_cut_by_us()
      :: else -> command_failed()
      fi;
      drain()
    }
  :: d_step { /* SESSION_EXPIRED */
      flying != NOBODY && !arrived ->
      if :: commander == flying -> sid = 0 :: else fi;
      if :: last_sid == flying -> last_sid = NOBODY :: else fi;
      if
      :: flying_again -> command_failed()
      :: else ->
        if
#if defined(MUT_OLD_COMMAND_AGAIN)
        :: true ->
#elif defined(MUT_AGAIN_DESPITE_REFUSAL)
        :: waiting == NOBODY && commander == flying && lives ->
#else
        :: !stopping && waiting == NOBODY ->
#endif
          waiting = flying; waiting_zero = flying_zero; waiting_again = 1
        :: else
        fi;
        flying_ends();
        commands_answered()
      fi;
      drain()
    }

    /* ---- The zero velocity ---- */
  :: d_step {
      zeros_way > 0 ->
      MUST(RUN == 0);                /* R7: it would cancel our own Stop */
      zeros_way--; zeros_came++
    }
  :: d_step { zeros_way > 0 && RUN > 0 -> zeros_way--; zeros_came++; cut_short() }
  :: d_step { zeros_way > 0 -> zeros_way--; commands_answered(); drain() } /* an error */
  :: d_step { zeros_came > 0 -> zeros_came--; commands_answered(); drain() } /* any answer */
    /* no answer, or CANCELLED */
  :: d_step { zeros_way > 0 && ALL_LOST < LOST -> zeros_way--; lost_zeros++; drain() }
  :: d_step { zeros_came > 0 && ALL_LOST < LOST -> zeros_came--; lost_gone++; drain() }

    /* ---- Commands that got no answer, in the machine ---- */
  :: d_step { lost_waits > 0 -> lost_waits--; lost_runs++ }
  :: d_step { lost_waits > 0 && RUN > 0 -> lost_waits--; lost_runs++; cut_short() }
  :: d_step { lost_waits > 0 -> lost_waits--; lost_gone++ }
  :: d_step { lost_zeros > 0 -> lost_zeros--; lost_gone++ }
  :: d_step { lost_zeros > 0 && RUN > 0 -> lost_zeros--; lost_gone++; cut_short() }
  :: d_step { lost_runs > 0 -> lost_runs--; lost_gone++; acts_late() }
  :: d_step { lost_runs > 0 -> lost_runs--; lost_gone++ }
  :: d_step { probed_runs > 0 -> probed_runs--; probed_gone++; acts_late() }
  :: d_step { probed_runs > 0 -> probed_runs--; probed_gone++ }
#if defined(MUT_SETTLED_BY_PROBE_ALONE) || defined(MUT_CANCELLED_IS_ANSWERED)
  :: d_step { forgotten > 0 -> forgotten--; acts_late() }
#endif

    /* ... and in the bridge: the probe waits for the same lock, and one second does the rest */
#ifndef MUT_NO_PROBE
  :: d_step { lost_runs > 0 -> lost_runs--; probed_runs++ }
  :: d_step { lost_gone > 0 -> lost_gone--; probed_gone++ }
#endif
  :: d_step { probed_gone > 0 -> probed_gone--; settled() }
#ifdef MUT_SETTLED_BY_PROBE_ALONE
  :: d_step { probed_runs > 0 -> probed_runs--; forgotten++; settled() }
#endif
    /* a window later, if no command was sent since (R10) */
#ifndef MUT_OLDER_LIVES_ON
  :: d_step {
      doubtful ->
      doubtful = 0;
      if :: waiting == NOBODY -> decide_stop(OLDER, commander) :: else fi;
      drain()
    }
#endif
  od
}

/* A Stop is sent again after its pause. */
active proctype repetition()
{
end:
  do
#ifndef MUT_STOP_NOT_REPEATED
  :: d_step { stopping && pausing && CLEAN + ZEROS == 0 -> pausing = 0; due = OPEN == 0; drain() }
#endif
#ifdef MUT_STOP_REPEATED_WHILE_OPEN
  :: d_step { stopping && OPEN == 1 -> due = 1; drain() }
#endif
  :: d_step { false -> skip }
  od
}

/* The Stops in flight */
active proctype stops()
{
end:
  do
    /* it comes to the base ... */
  :: d_step {
      unclean_way > 0 ->
      MUST(unclean_runs + unclean_ran == 0); /* R7: it would cancel one of its kind */
      unclean_way--; unclean_runs++
    }
  :: d_step {
      clean_way > 0 ->
      MUST(clean_runs + clean_ran == 0); /* R7 */
      clean_way--; clean_runs++
    }
    /* ... and cancels the other, whichever was sent first */
  :: d_step {
      unclean_way > 0 && RUN > 0 ->
#ifdef SEE_FINAL_STOP_CUT
      WITNESS;
#endif
      unclean_way--; cut_short(); unclean_runs++
    }
  :: d_step { clean_way > 0 && RUN > 0 -> clean_way--; cut_short(); clean_runs++ }
    /* ... and takes effect */
  :: d_step { ANSWERS && unclean_runs > 0 -> unclean_runs--; unclean_ran++; IF_MOVES(moving = 0) }
  :: d_step { clean_runs > 0 -> clean_runs--; clean_ran++; IF_MOVES(moving = 0) }

    /* OK */
  :: d_step {
      unclean_ran > 0 ->
      unclean_ran--;
#ifdef SEE_OLD_ACK
      if :: !unclean_counts && waiting != NOBODY && OPEN == 0 -> WITNESS :: else fi;
#endif
#ifdef MUT_OLD_ACK_COUNTS
      acknowledged = stopping;
#endif
      if :: unclean_counts -> stop_acknowledged() :: else fi;
#ifdef MUT_FINAL_BY_UNCLEAN
      if :: stopping -> final() :: else fi;
#endif
      drain()
    }
  :: d_step { clean_ran > 0 -> clean_ran--; stop_acknowledged(); final(); drain() }

    /* CANCELLED: by a call of ours, or by another client's */
  :: d_step { unclean_cut > 0 -> unclean_cut--; pausing = stopping; drain() }
  :: d_step { clean_cut > 0 -> clean_cut--; pausing = stopping; drain() }
  :: d_step { FAULTY && ANSWERS && UNCLEAN > 0 -> unclean_ends(); pausing = stopping; drain() }
  :: d_step { FAULTY && CLEAN > 0 -> clean_ends(); pausing = stopping; drain() }
    /* an error, whether it took effect or not; or the channel was cut */
  :: d_step { FAULTY && ANSWERS && UNCLEAN > 0 -> unclean_ends(); stop_failed(); drain() }
  :: d_step { FAULTY && CLEAN > 0 -> clean_ends(); stop_failed(); drain() }
    /* its deadline passed: the next goes at once */
  :: d_step {
      FAULTY && ANSWERS && UNCLEAN > 0 -> unclean_ends(); due = stopping && OPEN == 0; drain()
    }
  :: d_step { FAULTY && CLEAN > 0 -> clean_ends(); due = stopping && OPEN == 0; drain() }
  od
}

#ifdef LIVE
#ifndef HANGS
/* If the machine answers in the end, every stop owed is paid; and a command that waits goes out,
 * however often a newer one replaces it, or is dropped. */
never {
  do
  :: true
  :: owed && healed -> goto accept_stop
  :: waiting != NOBODY && sid && healed -> goto accept_command
  od;
accept_stop:
  do
  :: owed && healed
  od;
accept_command:
  do
  :: waiting != NOBODY && sid && healed
  od
}
#else
/* A base that is being stopped comes to rest, though a Stop beside a command hangs. */
never {
  do
  :: true
  :: moving && stopping && healed -> break
  od;
accept:
  do
  :: moving && stopping && healed
  od
}
#endif
#endif
