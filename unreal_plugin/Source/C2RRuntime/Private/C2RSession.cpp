#include "C2RSession.h"

#include "C2RLog.h"
#include "C2RSettings.h"
#include "Misc/FileHelper.h"

#include <cstring>

namespace
{
/** UTF-8 texts, which must outlive the options that point to them. */
struct FUtf8
{
	explicit FUtf8(const FString& Text)
	{
		const FTCHARToUTF8 Converted(*Text);
		Bytes.Append(Converted.Get(), Converted.Length());
		Bytes.Add('\0');
	}

	/** Null when empty: the client's default. */
	const char* OrNull() const { return Bytes.Num() > 1 ? Bytes.GetData() : nullptr; }

	TArray<char> Bytes;
};

uint32 SidesOf(const UC2RSettings& Settings)
{
	return (Settings.bSendDepth ? C2R_SIDE_DEPTH : 0) | (Settings.bSendMotion ? C2R_SIDE_MOTION : 0) |
		(Settings.bSendCamera ? C2R_SIDE_CAMERA : 0);
}

FString LastError()
{
	return FString(UTF8_TO_TCHAR(c2r_last_error()));
}

bool ReadAuthorities(const FString& File, FString& Pem, FString& Problem)
{
	if (File.IsEmpty() || FFileHelper::LoadFileToString(Pem, *File))
	{
		return true;
	}
	Problem = FString::Printf(TEXT("Authority File %s cannot be read"), *File);
	return false;
}

bool OpenClient(c2r_client* Client, const UC2RSettings& Settings, uint32 SideChannels)
{
	const FUtf8 Prompt(Settings.Prompt), Negative(Settings.NegativePrompt);
	c2r_session Session;
	c2r_init_session(&Session);
	Session.width = static_cast<uint32>(Settings.Width);
	Session.height = static_cast<uint32>(Settings.Height);
	Session.fps = Settings.FramesPerSecond;
	Session.prompt = Prompt.OrNull();
	Session.negative_prompt = Negative.OrNull();
	Session.strength = Settings.Strength;
	Session.has_seed = Settings.Seed >= 0 ? 1 : 0;
	Session.seed = Settings.Seed >= 0 ? static_cast<uint64>(Settings.Seed) : 0;
	Session.side_channels = SideChannels;
	Session.picture_pixels = C2R_PIXELS_BGRA8;
	Session.client = "C2R Unreal plugin 0.1.0";
	return c2r_open(Client, &Session) >= 0;
}
}

FC2RSessionPtr FC2RSession::Open(const UC2RSettings& Settings, const FString& ServerAddress, const FString& Token, FString& Problem)
{
	Problem = Settings.Problem();
	FString Pem;
	if (!Problem.IsEmpty() || !ReadAuthorities(Settings.AuthorityFile, Pem, Problem))
	{
		return nullptr;
	}
	const FUtf8 Address(ServerAddress), Secret(Token), Authorities(Pem);
	c2r_options Options;
	c2r_init_options(&Options);
	Options.address = Address.OrNull();
	Options.tls = Settings.bEncrypt ? 1 : 0;
	Options.root_ca = Authorities.OrNull();
	Options.token = Secret.OrNull();
	c2r_client* Client = nullptr;
	if (c2r_create(&Options, &Client) < 0)
	{
		Problem = LastError();
		return nullptr;
	}
	const uint32 SideChannels = SidesOf(Settings);
	if (!OpenClient(Client, Settings, SideChannels))
	{
		Problem = LastError();
		c2r_destroy(Client);
		return nullptr;
	}
	return FC2RSessionPtr(new FC2RSession(Client, FIntPoint(Settings.Width, Settings.Height), SideChannels));
}

FC2RSession::FC2RSession(c2r_client* InClient, FIntPoint InSize, uint32 InSideChannels)
	: Size(InSize), SideChannels(InSideChannels), Client(InClient)
{
}

FC2RSession::~FC2RSession()
{
	c2r_destroy(Client);
}

bool FC2RSession::Submit(const c2r_frame& Frame, FString& Problem)
{
	if (c2r_submit(Client, &Frame) >= 0)
	{
		return true;
	}
	Problem = LastError();
	return false;
}

void FC2RSession::Poll(int32 Most, TFunctionRef<void(FC2RPictureRef)> Show)
{
	c2r_result Result = {};
	Result.struct_size = sizeof Result;
	while (Most > 0 && c2r_poll(Client, &Result) == 1)
	{
		if (Result.outcome == C2R_OUTCOME_FAILED)
		{
			UE_LOG(LogC2R, Warning, TEXT("frame %llu: %s %s"), static_cast<uint64>(Result.frame_id), UTF8_TO_TCHAR(Result.field), UTF8_TO_TCHAR(Result.message));
		}
		if (Result.outcome != C2R_OUTCOME_RENDERED)
		{
			continue;
		}
		FC2RPictureRef Picture = MakeShared<FC2RPicture, ESPMode::ThreadSafe>();
		Picture->FrameId = Result.frame_id;
		Picture->CaptureUs = Result.capture_time_us;
		Picture->Pixels.SetNumUninitialized(static_cast<int32>(Result.width * Result.height * 4));
		for (uint32 Row = 0; Row < Result.height; ++Row)
		{
			std::memcpy(Picture->Pixels.GetData() + Row * Result.width * 4, Result.picture + Row * Result.row_bytes, Result.width * 4);
		}
		Show(MoveTemp(Picture));
		--Most;
	}
}

void FC2RSession::PollEvents(TFunctionRef<void(const c2r_event&)> Handle)
{
	c2r_event Event = {};
	Event.struct_size = sizeof Event;
	while (c2r_poll_event(Client, &Event) == 1)
	{
		Handle(Event);
	}
}

FString FC2RSession::Change(const FString* Prompt, const FString* NegativePrompt, const double* Strength, const int64* Seed)
{
	const FUtf8 PromptText(Prompt ? *Prompt : FString()), NegativeText(NegativePrompt ? *NegativePrompt : FString());
	c2r_control Control;
	c2r_init_control(&Control);
	Control.prompt = Prompt ? PromptText.Bytes.GetData() : nullptr;
	Control.negative_prompt = NegativePrompt ? NegativeText.Bytes.GetData() : nullptr;
	Control.has_strength = Strength ? 1 : 0;
	Control.strength = Strength ? *Strength : 1.0;
	Control.has_seed = Seed ? 1 : 0;
	Control.seed = Seed ? static_cast<uint64>(*Seed) : 0;
	return c2r_set_control(Client, &Control, nullptr) < 0 ? LastError() : FString();
}

void FC2RSession::ReportShown(const FC2RPicture& Picture, double BufferMs)
{
	c2r_report_shown(Client, Picture.FrameId, Picture.CaptureUs, BufferMs);
}

void FC2RSession::BeginClose()
{
	c2r_close(Client, 1, 1.0);
}

FC2RStatus FC2RSession::GetStatus() const
{
	c2r_status From = {};
	From.struct_size = sizeof From;
	c2r_get_status(Client, &From);
	FC2RStatus Status;
	Status.State = static_cast<EC2RState>(From.state);
	Status.Text = UTF8_TO_TCHAR(From.text);
	Status.ErrorCode = From.error;
	Status.QueuePosition = static_cast<int32>(From.queue_position);
	Status.RetryInSeconds = From.retry_in_s;
	return Status;
}

FC2RStatistics FC2RSession::GetStatistics() const
{
	c2r_stats From = {};
	From.struct_size = sizeof From;
	c2r_get_stats(Client, &From);
	FC2RStatistics Statistics;
	Statistics.Submitted = static_cast<int64>(From.submitted);
	Statistics.Rendered = static_cast<int64>(From.rendered);
	Statistics.Failed = static_cast<int64>(From.failed);
	for (const uint64_t Dropped : From.dropped)
	{
		Statistics.Dropped += static_cast<int64>(Dropped);
	}
	Statistics.PicturesPerSecond = From.fps_steady;
	Statistics.MedianLatencyMs = From.latency_p50_ms;
	Statistics.WorstLatencyMs = From.latency_p99_ms;
	return Statistics;
}
