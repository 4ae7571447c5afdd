"""One association of the lean receiver: an asyncio protocol driven by the state table of ``upper_layer``."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from dicomnet.dimse import command as dimse
from dicomnet.dimse import pdu
from dicomnet.dimse.incoming import Incoming
from dicomnet.dimse.part10 import file_meta
from dicomnet.dimse.upper_layer import Action, Event, State, step
from dicomnet.dimse.values import Peer, Rejection, StoreReply, StoreRequest
from dicomnet.errors import DicomnetError

if TYPE_CHECKING:
    from dicomnet.dimse.receiver import Receiver

SUCCESS = 0x0000
UNRECOGNIZED_OPERATION = 0x0211
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

_LARGEST_CONTROL_PDU = 1 << 20
_LARGEST_COMMAND = 1 << 14
_FIRST_BUFFER = 1 << 18
_LEAST_ROOM = 1 << 16


class Association(asyncio.BufferedProtocol):
    """From accept to close. ``busy`` is the store that is being handled, None between messages.

    Bytes are received into one buffer and PDUs are read in place: a data set is copied once, to where it is put together.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._settings = receiver.settings
        self._state = State.AWAITING_ASSOCIATE
        self._buffer = bytearray(_FIRST_BUFFER)
        self._begin = 0  # of the bytes that no PDU has taken yet
        self._end = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # loop time at which the peer has been silent for too long
        self._request: pdu.AssociateRequest | None = None
        self._peer: Peer | None = None
        self._accepted: dict[int, tuple[str, str]] = {}
        self._command = bytearray()
        self._pending: tuple[int, dimse.Command] | None = None
        self._incoming: Incoming | None = None
        self._memory = bytearray()  # of a data set that is small; made with the first one
        self._address = ""
        self._deciding: asyncio.Task[None] | None = None
        self.busy: asyncio.Task[None] | None = None

    # Transport ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """AE-5: a connection opens, ARTIM starts."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self._receiver.associations.add(self)
        self._restart_timer(self._settings.association_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer or this side closed: nothing half-received stays."""
        self._on(Event.TRANSPORT_CLOSED)
        self._receiver.associations.discard(self)
        self._stop_timer()
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Room behind what is already there; what is left of an unfinished PDU moves to the front first."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif self._begin and len(self._buffer) - self._end < _LEAST_ROOM:
            self._move_to(self._buffer)
        if len(self._buffer) - self._end < _LEAST_ROOM:
            self._move_to(bytearray(2 * len(self._buffer)))
        return memoryview(self._buffer)[self._end :]

    def _move_to(self, target: bytearray) -> None:
        length = self._end - self._begin
        memoryview(target)[:length] = memoryview(self._buffer)[self._begin : self._end]
        self._buffer, self._begin, self._end = target, 0, length

    def buffer_updated(self, nbytes: int) -> None:
        """Handle each complete PDU; reading pauses while a message is being handled."""
        self._end += nbytes
        self._drain()

    def _drain(self) -> None:
        while self.busy is None and self._deciding is None and self._end - self._begin >= pdu.HEADER_LENGTH:
            kind, _, length = struct.unpack_from(">BBI", self._buffer, self._begin)
            known = pdu.ASSOCIATE_RQ <= kind <= pdu.ABORT
            limit = self._settings.maximum_pdu_length + 64 if kind == pdu.P_DATA_TF else _LARGEST_CONTROL_PDU
            if not known or length > limit:
                self._begin = self._end
                self._refuse_bytes("pdu type" if not known else "pdu length")
                return
            end = self._begin + pdu.HEADER_LENGTH + length
            if self._end < end:
                break
            body = memoryview(self._buffer)[self._begin + pdu.HEADER_LENGTH : end]
            self._begin = end
            self._handle_pdu(kind, body)
        self._throttle()

    def _throttle(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        waiting = self.busy is not None or self._deciding is not None
        if waiting and self._end - self._begin > self._settings.maximum_pdu_length:
            transport.pause_reading()
        elif not waiting:
            transport.resume_reading()

    def _handle_pdu(self, kind: int, body: memoryview) -> None:
        self._restart_timer(self._settings.network_timeout_s)
        try:
            if kind == pdu.ASSOCIATE_RQ:
                if self._state is State.AWAITING_ASSOCIATE:
                    self._request = pdu.decode_associate_request(body)
                self._on(Event.ASSOCIATE_RQ)
            elif kind == pdu.P_DATA_TF:
                if self._on(Event.P_DATA) is Action.DELIVER_DATA:
                    for fragment in pdu.decode_fragments(body):
                        self._handle_fragment(fragment)
            elif kind == pdu.RELEASE_RQ:
                self._on(Event.RELEASE_RQ)
            elif kind == pdu.ABORT:
                self._on(Event.ABORT)
            else:
                self._on(Event.UNEXPECTED_PDU)
        except DicomnetError as error:
            self._refuse_bytes(str(error))

    def _refuse_bytes(self, what: str) -> None:
        self._log("dimse.malformed_pdu", what=what)
        self._on(Event.UNEXPECTED_PDU)

    # State machine --------------------------------------------------------------------------------------------

    def _on(self, event: Event) -> Action:
        action, self._state = step(self._state, event)
        if action is Action.DECIDE:
            self._deciding = asyncio.get_running_loop().create_task(self._decide())
        elif action is Action.SEND_ABORT_USER:
            self._send(pdu.encode_abort(0, 0))
            self._close()
        elif action is Action.SEND_ABORT_PROVIDER:
            self._send(pdu.encode_abort(2, 2))
            self._close()
        elif action is Action.SEND_RELEASE_RESPONSE:
            self._send(pdu.encode_release_response())
            self._restart_timer(self._settings.association_timeout_s)
        elif action in (Action.CLOSE, Action.REPORT_ABORT):
            self._close()
        return action

    async def _decide(self) -> None:
        """AE-6: ask who the called title is; accept with one answer per context, or reject."""
        request = self._request
        assert request is not None  # noqa: S101  # set before the event
        try:
            if len(self._receiver.associations) > self._settings.maximum_associations:
                verdict: Peer | Rejection = Rejection(result=2, source=3, reason=2)
            else:
                verdict = await self._receiver.admit(request, self._address)
        except Exception as error:
            self._log("dimse.admission_failed", what=type(error).__name__)
            verdict = Rejection(result=2, source=3, reason=1)
        finally:
            self._deciding = None
        if self._state is not State.AWAITING_LOCAL_ANSWER:
            return
        if isinstance(verdict, Rejection):
            self._log("dimse.association_rejected", called=request.called_ae_title, reason=verdict.reason)
            self._send(pdu.encode_associate_reject(verdict.result, verdict.source, verdict.reason))
            self._on(Event.LOCAL_REJECT)
            self._close()
            return
        self._peer = verdict
        self._send(
            pdu.encode_associate_accept(
                request,
                tuple(self._answer(context) for context in request.contexts),
                maximum_length=self._settings.maximum_pdu_length,
                implementation_class_uid=self._settings.implementation_class_uid,
                implementation_version_name=self._settings.implementation_version_name,
            )
        )
        self._on(Event.LOCAL_ACCEPT)
        self._drain()

    def _answer(self, context: pdu.PresentationContext) -> pdu.ContextResult:
        """The first transfer syntax of the proposer's own order that is known: objects are kept as they come."""
        syntaxes = self._settings.accepted.get(context.abstract_syntax)
        if syntaxes is None:
            return pdu.ContextResult(
                context.context_id, 3, context.transfer_syntaxes[0] if context.transfer_syntaxes else ""
            )
        for transfer_syntax in context.transfer_syntaxes:
            if transfer_syntax in syntaxes:
                self._accepted[context.context_id] = (context.abstract_syntax, transfer_syntax)
                return pdu.ContextResult(context.context_id, 0, transfer_syntax)
        return pdu.ContextResult(
            context.context_id, 4, context.transfer_syntaxes[0] if context.transfer_syntaxes else ""
        )

    # Messages -------------------------------------------------------------------------------------------------

    def _handle_fragment(self, fragment: pdu.Fragment) -> None:
        if fragment.context_id not in self._accepted or self.busy is not None:
            raise pdu.PduError(what="presentation context")
        if fragment.is_command:
            self._command += fragment.data
            if len(self._command) > _LARGEST_COMMAND or self._incoming is not None:
                raise dimse.CommandError(what="command set")
            if fragment.is_last:
                received = dimse.decode_command(bytes(self._command))
                self._command.clear()
                self._handle_command(fragment.context_id, received)
            return
        if self._incoming is None or self._pending is None or self._pending[0] != fragment.context_id:
            raise pdu.PduError(what="data set without a command")
        self._incoming.write(fragment.data)
        if fragment.is_last:
            incoming, self._incoming = self._incoming, None
            (context_id, received), self._pending = self._pending, None
            incoming.close()
            self.busy = asyncio.get_running_loop().create_task(self._finish_store(context_id, received, incoming))

    def _handle_command(self, context_id: int, received: dimse.Command) -> None:
        if received.command_field == dimse.C_STORE_RQ:
            _, transfer_syntax = self._accepted[context_id]
            head = file_meta(
                sop_class_uid=received.affected_sop_class_uid or "",
                sop_instance_uid=received.affected_sop_instance_uid or "",
                transfer_syntax_uid=transfer_syntax,
                implementation_class_uid=self._settings.implementation_class_uid,
                implementation_version_name=self._settings.implementation_version_name,
            )
            if not self._memory:
                self._memory = bytearray(self._settings.memory_per_association)
            self._incoming = Incoming(
                self._receiver.open_temporary, self._memory, head, self._settings.maximum_object_length
            )
            self._pending = (context_id, received)
        elif received.command_field == dimse.C_ECHO_RQ:
            self._reply(context_id, dimse.response_to(received, SUCCESS))
        elif received.command_field == dimse.C_CANCEL_RQ or received.command_field & 0x8000:
            return
        else:
            self._reply(context_id, dimse.response_to(received, UNRECOGNIZED_OPERATION))

    async def _finish_store(self, context_id: int, received: dimse.Command, incoming: Incoming) -> None:
        """Hand the file over, then answer. An answer of success leaves only after the handler returned it."""
        peer = self._peer
        assert peer is not None  # noqa: S101  # set when the association was accepted
        try:
            if incoming.error:
                reply = StoreReply(OUT_OF_RESOURCES, incoming.error)
                self._log("dimse.store_refused", what=incoming.error)
            else:
                reply = await self._receiver.store(
                    StoreRequest(
                        peer=peer,
                        sop_class_uid=received.affected_sop_class_uid or "",
                        sop_instance_uid=received.affected_sop_instance_uid or "",
                        transfer_syntax_uid=self._accepted[context_id][1],
                        content=incoming.content,
                        length_bytes=incoming.length,
                        sha256=incoming.sha256.digest(),
                    )
                )
        except Exception as error:
            self._log("dimse.store_failed", what=type(error).__name__)
            reply = StoreReply(CANNOT_UNDERSTAND, "dimse.store_failed")
        finally:
            incoming.discard()
        self.busy = None
        if self._state is State.DATA_TRANSFER:
            self._reply(context_id, dimse.response_to(received, reply.status, reply.error_comment))
            self._restart_timer(self._settings.network_timeout_s)
            self._drain()

    # Output ---------------------------------------------------------------------------------------------------

    def _reply(self, context_id: int, answer: dimse.Command) -> None:
        maximum = self._request.maximum_length if self._request else 0
        data = dimse.encode_command(answer)
        self._send(pdu.encode_data(context_id, data, is_command=True, maximum_length=maximum))

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort_locally(self) -> None:
        """A-ABORT from this side (the server stops)."""
        self._on(Event.LOCAL_ABORT)
        self._close()

    def _restart_timer(self, seconds: float) -> None:
        """Move the deadline. The one timer looks at it when it fires, so most moves cost no timer of the loop."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._stop_timer()
        if self._timer is None:
            self._timer = loop.call_at(self._deadline, self._expired)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._timer = loop.call_at(self._deadline, self._expired)
            return
        if self.busy is not None or self._deciding is not None:
            self._restart_timer(self._settings.network_timeout_s)
            return
        self._log("dimse.timeout", state=self._state.value)
        self._on(Event.ARTIM_EXPIRED if self._state is not State.DATA_TRANSFER else Event.LOCAL_ABORT)

    def _log(self, event: str, **values: object) -> None:
        correlation_id = self._peer.correlation_id if self._peer else ""
        self._receiver.log(event, address=self._address, correlation_id=correlation_id, **values)
