#include "SC2RBufferView.h"

#include "C2RPreview.h"
#include "C2RRows.h"
#include "C2RSubsystem.h"
#include "Engine/Engine.h"
#include "Engine/GameInstance.h"
#include "Engine/Texture2D.h"
#include "RHITypes.h"
#include "Widgets/Images/SImage.h"
#include "Widgets/Layout/SScaleBox.h"
#include "Widgets/SBoxPanel.h"
#include "Widgets/Text/STextBlock.h"

#include <cstring>

namespace
{
/** Seconds between two refreshes: each copies a few megabytes. */
constexpr float Interval = 0.2f;

/** Pixels of motion that are shown in full colour. */
constexpr float FullMotion = 16.0f;

void Put(TArray<uint8>& Pixels, int32 Index, C2R::FBgra Value)
{
	std::memcpy(Pixels.GetData() + Index * 4, &Value, 4);
}

TArray<uint8> ImageOfColour(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels = Buffers.Colour;
	for (int32 Index = 0; Index + 3 < Pixels.Num(); Index += 4)
	{
		Swap(Pixels[Index], Pixels[Index + 2]);
		Pixels[Index + 3] = 255;
	}
	return Pixels;
}

TArray<uint8> ImageOfDepth(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels;
	Pixels.SetNumUninitialized(Buffers.Depth.Num() * 4);
	for (int32 Index = 0; Index < Buffers.Depth.Num(); ++Index)
	{
		Put(Pixels, Index, C2R::ColourOfDepth(Buffers.Depth[Index]));
	}
	return Pixels;
}

TArray<uint8> ImageOfMotion(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels;
	Pixels.SetNumUninitialized(Buffers.Motion.Num() * 2);
	for (int32 Index = 0; Index < Buffers.Motion.Num() / 2; ++Index)
	{
		const float X = C2R::FloatOfHalf(Buffers.Motion[Index * 2]);
		const float Y = C2R::FloatOfHalf(Buffers.Motion[Index * 2 + 1]);
		Put(Pixels, Index, C2R::ColourOfMotion(X, Y, FullMotion));
	}
	return Pixels;
}

UC2RSubsystem* FindSubsystem()
{
	for (const FWorldContext& Context : GEngine->GetWorldContexts())
	{
		if (Context.WorldType == EWorldType::PIE && Context.OwningGameInstance != nullptr)
		{
			return Context.OwningGameInstance->GetSubsystem<UC2RSubsystem>();
		}
	}
	return nullptr;
}
}

void SC2RBufferView::Construct(const FArguments& InArgs)
{
	Line = FText::FromString(TEXT("Play in the editor to see the captured buffers and the picture."));
	const TSharedRef<SHorizontalBox> Row = SNew(SHorizontalBox);
	for (FSlateBrush& Brush : Brushes)
	{
		Row->AddSlot().Padding(2.0f)
		[
			SNew(SScaleBox).Stretch(EStretch::ScaleToFit)
			[
				SNew(SImage).Image(&Brush)
			]
		];
	}
	ChildSlot
	[
		SNew(SVerticalBox)
		+ SVerticalBox::Slot().AutoHeight().Padding(4.0f)
		[
			SNew(STextBlock).Text(this, &SC2RBufferView::GetLine)
		]
		+ SVerticalBox::Slot()
		[
			Row
		]
	];
	RegisterActiveTimer(Interval, FWidgetActiveTimerDelegate::CreateSP(this, &SC2RBufferView::Refresh));
}

SC2RBufferView::~SC2RBufferView()
{
	if (UC2RSubsystem* Subsystem = Seen.Get())
	{
		Subsystem->GetPreview()->SetWanted(false);
	}
}

FText SC2RBufferView::GetLine() const
{
	return Line;
}

EActiveTimerReturnType SC2RBufferView::Refresh(double Time, float DeltaSeconds)
{
	UC2RSubsystem* Subsystem = FindSubsystem();
	Seen = Subsystem;
	if (Subsystem != nullptr && Subsystem->GetPreview().IsValid())
	{
		Subsystem->GetPreview()->SetWanted(true);
		Update(Subsystem);
	}
	return EActiveTimerReturnType::Continue;
}

void SC2RBufferView::Update(UC2RSubsystem* Subsystem)
{
	Line = FText::FromString(FString::Printf(TEXT("Colour, depth, motion, picture. %s"), *Subsystem->GetStatus().Text));
	if (UTexture2D* Shown = Subsystem->GetPicture())
	{
		Brushes[Picture].SetResourceObject(Shown);
		Brushes[Picture].ImageSize = FVector2D(Shown->GetSizeX(), Shown->GetSizeY());
	}
	const FC2RBuffers Buffers = Subsystem->GetPreview()->Get();
	if (Buffers.FrameId == LastFrameId)
	{
		return;
	}
	LastFrameId = Buffers.FrameId;
	Upload(Colour, Buffers.Size, ImageOfColour(Buffers));
	Upload(Depth, Buffers.Size, ImageOfDepth(Buffers));
	Upload(Motion, Buffers.Size, ImageOfMotion(Buffers));
}

void SC2RBufferView::Upload(EBuffer Buffer, FIntPoint Size, const TArray<uint8>& Pixels)
{
	if (Pixels.Num() != Size.X * Size.Y * 4 || Pixels.Num() == 0)
	{
		return;
	}
	UTexture2D* Texture = Textures[Buffer].Get();
	if (Texture == nullptr || Texture->GetSizeX() != Size.X || Texture->GetSizeY() != Size.Y)
	{
		Texture = UTexture2D::CreateTransient(Size.X, Size.Y, PF_B8G8R8A8);
		Texture->SRGB = true;
		Texture->UpdateResource();
		Textures[Buffer] = TStrongObjectPtr<UTexture2D>(Texture);
		Brushes[Buffer].SetResourceObject(Texture);
		Brushes[Buffer].ImageSize = FVector2D(Size.X, Size.Y);
	}
	// The render thread copies later: region and pixels are freed by the callback, after the copy.
	FUpdateTextureRegion2D* Region = new FUpdateTextureRegion2D(0, 0, 0, 0, static_cast<uint32>(Size.X), static_cast<uint32>(Size.Y));
	TArray<uint8>* Copy = new TArray<uint8>(Pixels);
	Texture->UpdateTextureRegions(0, 1, Region, static_cast<uint32>(Size.X) * 4, 4, Copy->GetData(),
		[Copy](uint8*, const FUpdateTextureRegion2D* Done)
		{
			delete Copy;
			delete Done;
		});
}
